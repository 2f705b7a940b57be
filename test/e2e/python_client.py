"""A client with nothing of ours: grpcio and the .proto files. Creates a task, runs it, watches it, lists its sets.

Arguments: address, directory of ca.crt/admin.crt/admin.key (as `holdfast init` makes it), directory of the generated stubs, task name.
Prints one JSON document.
"""

import json
import pathlib
import sys

import grpc

address, certificates, stubs, task = sys.argv[1:5]
sys.path.insert(0, stubs)

from holdfast.v1 import admin_pb2, admin_pb2_grpc, types_pb2  # noqa: E402

read = lambda name: (pathlib.Path(certificates) / name).read_bytes()
credentials = grpc.ssl_channel_credentials(read("ca.crt"), read("admin.key"), read("admin.crt"))

with grpc.secure_channel(address, credentials) as channel:
    admin = admin_pb2_grpc.AdminServiceStub(channel)
    source = types_pb2.Source(policy=types_pb2.BACKUP_POLICY_FULL, ldap_server=types_pb2.LdapServerSource())
    spec = admin_pb2.TaskSpec(
        name=task,
        sources=[source],
        target=types_pb2.Target(local_dir=types_pb2.LocalDirTarget()),
        copies=1,
        manual=admin_pb2.ManualMode(),
    )
    admin.CreateTask(admin_pb2.CreateTaskRequest(request_id=f"{task}-create", spec=spec))
    run = admin.RunTask(admin_pb2.RunTaskRequest(request_id=f"{task}-run", name=task)).run
    states = [update.run.state for update in admin.WatchRun(admin_pb2.WatchRunRequest(id=run.id))]
    sets = admin.ListSets(admin_pb2.ListSetsRequest(task=task)).sets

    try:
        admin.CreateTask(admin_pb2.CreateTaskRequest(spec=admin_pb2.TaskSpec(name="x", copies=0)))
        refusal = "accepted"
    except grpc.RpcError as error:
        refusal = error.code().name

print(
    json.dumps(
        {
            "watched": states[0] != states[-1],
            "end": types_pb2.RunState.Name(states[-1]),
            "sets": [{"state": admin_pb2.SetState.Name(s.state), "files": [f.source for f in s.files]} for s in sets],
            "refusal": refusal,
        }
    )
)
