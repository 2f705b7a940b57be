-- The database of a cluster manager, in small: hosts, services, users, and alarms whose data no backup takes.
CREATE ROLE oms_owner LOGIN PASSWORD 'oms-owner-of-the-lab';
CREATE ROLE oms_reader NOLOGIN;
GRANT oms_reader TO oms_owner;
CREATE DATABASE oms OWNER oms_owner;
ALTER DATABASE oms SET statement_timeout = '10min';
\connect oms
SET ROLE oms_owner;
CREATE TYPE service_state AS ENUM ('started', 'stopped', 'faulty');
CREATE TABLE t_host (id serial PRIMARY KEY, name text NOT NULL UNIQUE, address inet NOT NULL, facts jsonb NOT NULL DEFAULT '{}');
CREATE TABLE t_service (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, host_id int NOT NULL REFERENCES t_host ON DELETE CASCADE,
  name text NOT NULL, state service_state NOT NULL, settings xml, changed timestamptz NOT NULL DEFAULT '2026-01-01');
CREATE INDEX ON t_service (host_id, name);
CREATE TABLE t_blob (id int PRIMARY KEY, content bytea NOT NULL);
CREATE TABLE t_alarm (id bigserial PRIMARY KEY, raised timestamptz DEFAULT now(), text text);
CREATE TABLE t_alarm_history (LIKE t_alarm INCLUDING ALL);
CREATE VIEW v_faulty AS SELECT h.name AS host, s.name AS service FROM t_service s JOIN t_host h ON h.id = s.host_id WHERE s.state = 'faulty';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := '2026-02-02'; RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON t_service FOR EACH ROW EXECUTE FUNCTION touch();
COMMENT ON TABLE t_host IS 'Every machine; names are unique — auch mit Ümläuten';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO oms_reader;
INSERT INTO t_host (name, address, facts)
  SELECT 'host-' || n, ('10.0.' || n / 250 || '.' || n % 250)::inet, jsonb_build_object('cpus', n % 64, 'rack', 'r' || n % 9)
  FROM generate_series(1, 400) n;
INSERT INTO t_service (host_id, name, state)
  SELECT h, 'service-' || s, (ARRAY['started', 'stopped', 'faulty'])[1 + (h + s) % 3]::service_state FROM generate_series(1, 400) h, generate_series(1, 20) s;
INSERT INTO t_blob SELECT n, decode(repeat(md5(n::text), 2000), 'hex') FROM generate_series(1, 100) n;
INSERT INTO t_alarm (text) SELECT 'alarm ' || n FROM generate_series(1, 5000) n;
INSERT INTO t_alarm_history (id, text) SELECT n, 'old alarm ' || n FROM generate_series(1, 5000) n;
