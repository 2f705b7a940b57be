-- A component's metadata database, shaped like Hive's metastore. :rows is the number of partitions; one takes some 400 bytes in all.
CREATE ROLE hive LOGIN PASSWORD 'hive-of-the-lab';
CREATE DATABASE hivemeta OWNER hive;
\connect hivemeta
SET ROLE hive;
CREATE TABLE "DBS" ("DB_ID" bigint PRIMARY KEY, "NAME" varchar(128) UNIQUE, "DB_LOCATION_URI" varchar(4000) NOT NULL);
CREATE TABLE "TBLS" ("TBL_ID" bigint PRIMARY KEY, "DB_ID" bigint REFERENCES "DBS" DEFERRABLE, "TBL_NAME" varchar(256), "VIEW_ORIGINAL_TEXT" text);
CREATE TABLE "PARTITIONS" (
  "PART_ID" bigint PRIMARY KEY, "TBL_ID" bigint REFERENCES "TBLS" DEFERRABLE, "PART_NAME" varchar(767), "CREATE_TIME" bigint NOT NULL);
CREATE TABLE "PARTITION_PARAMS" (
  "PART_ID" bigint REFERENCES "PARTITIONS" DEFERRABLE, "PARAM_KEY" varchar(256), "PARAM_VALUE" text, PRIMARY KEY ("PART_ID", "PARAM_KEY"));
CREATE SEQUENCE next_id START 42;
SELECT nextval('next_id');
INSERT INTO "DBS" SELECT n, 'db_' || n, 'hdfs://hacluster/user/hive/warehouse/db_' || n FROM generate_series(1, 20) n;
INSERT INTO "TBLS" SELECT n, 1 + n % 20, 'table_' || n, CASE WHEN n % 10 = 0 THEN repeat('SELECT col FROM t -- ', 50) END FROM generate_series(1, 1000) n;
INSERT INTO "PARTITIONS" SELECT n, 1 + n % 1000, 'day=' || 20200101 + n % 2000 || '/hour=' || n % 24, 1700000000 + n FROM generate_series(1, :rows) n;
INSERT INTO "PARTITION_PARAMS" SELECT n, 'COLUMN_STATS_ACCURATE', '{"BASIC_STATS":"true","n":' || n || ',"h":"' || md5(n::text) || md5((n * 7)::text) || '"}'
  FROM generate_series(1, :rows) n;
CREATE INDEX "PARTITIONS_TBL" ON "PARTITIONS" ("TBL_ID");
CREATE INDEX "PARTITIONS_NAME" ON "PARTITIONS" ("PART_NAME", "TBL_ID");
