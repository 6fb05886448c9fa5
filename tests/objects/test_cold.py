"""The cold table on a server that speaks S3: spans go there, other programs read them there, and nothing is lost while
the server is away, which a relay in between plays.

    test_cold.py BINARY DIRECTORY
"""

import json
import os
import random
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import boto3
from deltalake import DeltaTable, QueryBuilder

BINARY, SCRATCH = Path(sys.argv[1]), Path(sys.argv[2])
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
URL = "s3://spans/team/prod"
PATIENCE_S = 60


class Relay:
    """Hands bytes on to a port: late, with connections that break in the middle, or, once it is cut, not at all."""

    def __init__(self, target):
        self.target = target
        self.listener = None
        self.port = 0
        self.sockets = set()
        self.delay_s = 0
        # Of a thousand pieces, how many break their connection instead of getting through.
        self.breaks = 0
        self.chance = random.Random(7)
        self.broken = 0
        self.mend()

    def mend(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def cut(self):
        # A thread that waits in accept() holds the listener open: shutdown wakes it.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for each in list(self.sockets):
            self.close(each)

    def close(self, each):
        self.sockets.discard(each)
        try:
            lingers = each.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 0)
            # Without a farewell the other side sees a reset.
            each.shutdown(socket.SHUT_RD if lingers else socket.SHUT_RDWR)
        except OSError:
            pass
        each.close()

    def accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            self.sockets |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def pump(self, one, other):
        try:
            while data := one.recv(1 << 16):
                time.sleep(self.delay_s)
                if self.chance.randrange(1000) < self.breaks:
                    self.broken += 1
                    other.sendall(data[: len(data) // 2])
                    for each in (one, other):
                        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                other.sendall(data)
        except OSError:
            pass
        self.close(one)
        self.close(other)


class Server:
    """A Spanlight on free ports."""

    def __init__(self, name, relay, *settings):
        self.data = SCRATCH / name
        self.log = SCRATCH / f"{name}.log"
        options = [f"endpoint_url=http://127.0.0.1:{relay.port}", "allow_http=true"]
        self.settings = [
            "http=127.0.0.1:0",
            "receivers.otlp_http=127.0.0.1:0",
            "receivers.otlp_grpc=off",
            "storage.hot_window=1s",
            f"storage.cold_url={URL}",
            f"storage.cold_options={','.join(options)}",
            *settings,
        ]
        self.process = None

    def start(self):
        (self.data / "addresses.json").unlink(missing_ok=True)
        command = [str(BINARY), "serve", "--data-dir", str(self.data)]
        for setting in self.settings:
            command += ["--set", setting]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | CREDENTIALS)
        return self

    def ready(self):
        until(lambda: (self.data / "addresses.json").exists() or self.process.poll() is not None, "it starts")
        assert self.process.poll() is None, self.log.read_text()
        return self

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(PATIENCE_S)

    def address(self, name):
        return json.loads((self.data / "addresses.json").read_text())[name]

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address('http')}{path}", timeout=PATIENCE_S) as answer:
            return answer.read().decode()

    def ready_warnings(self):
        ready = json.loads(self.get("/readyz"))
        assert ready["ready"], ready
        return ready["warnings"]

    def store(self, *arguments):
        """What a `spanlight store` command says, given the place of the table."""
        command = [str(BINARY), "store", *arguments]
        for setting in self.settings:
            if setting.startswith("storage.cold_"):
                command += ["--set", setting]
        done = subprocess.run(command, env=os.environ | CREDENTIALS, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def metric(self, name):
        lines = self.get("/metrics").splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"spanlight_{name} "))

    def send(self, batch, count):
        """Sends spans, each a trace; returns once they are acknowledged."""
        now = time.time_ns()
        spans = [
            {
                "traceId": secrets.token_hex(16),
                "spanId": secrets.token_hex(8),
                "name": "charge",
                "kind": 2,
                "startTimeUnixNano": str(now + number),
                "endTimeUnixNano": str(now + number + 1_000_000),
                "attributes": [
                    {"key": "app.batch", "value": {"stringValue": batch}},
                    {"key": "app.number", "value": {"intValue": str(number)}},
                ],
            }
            for number in range(count)
        ]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "billing"}}]}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": spans}]}]}
        request = urllib.request.Request(
            f"http://{self.address('otlp_http')}/v1/traces",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            assert json.loads(answer.read()) == {}

    def search(self, batch):
        """How many traces of a batch are found, and what the answer lacks."""
        query = urllib.parse.quote(f'{{ span.app.batch = "{batch}" }}')
        answer = json.loads(self.get(f"/api/v1/search?q={query}&start=now-1h&end=now&limit=1000"))
        return len(answer["traces"]), json.dumps(answer["partial"])


def until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


def step(text):
    print(f"ok    {text}", flush=True)


class Moto:
    """A server that speaks S3, with everything in memory."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        log = (SCRATCH / "moto.log").open("w")
        command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self.answers, "moto starts")
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.client.create_bucket(Bucket="spans")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def query(self, sql):
        """What another program finds in the table."""
        options = CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "AWS_ALLOW_HTTP": "true"}
        table = DeltaTable(URL, storage_options=options)
        found = QueryBuilder().register("spans", table).execute(sql).read_all()
        return list(zip(*(found[name].to_pylist() for name in found.column_names)))


def main():
    moto = Moto()
    relay = Relay(moto.port)
    server = Server("data", relay)
    try:
        run(moto, relay, server)
    finally:
        for process in (server.process, moto.process):
            if process and process.poll() is None:
                process.kill()


def run(moto, relay, server):
    server.start().ready()
    server.send("one", 300)
    until(lambda: server.metric("store_cold_spans") == 300, "spans go to the object store")
    assert server.search("one") == (300, "[]"), server.search("one")
    step("spans go to the object store, and are found there")

    sql = 'select count(*), count(distinct trace_id), sum(span_app_number), min(service_name) from spans'
    counted = moto.query(sql)
    assert counted == [(300, 300, sum(range(300)), "billing")], counted
    step("another program reads the same")

    second = Server("second", relay).start()
    assert second.process.wait(PATIENCE_S) != 0
    refusal = second.log.read_text()
    assert "belongs to another Spanlight" in refusal and str(server.data) in refusal, refusal
    step("a second server is told who has the table")

    relay.cut()
    server.send("two", 300)
    until(lambda: server.metric("store_cold_reachable") == 0, "the outage is noticed")
    server.send("three", 300)
    ready = json.loads(server.get("/readyz"))
    assert ready["ready"] and any(URL in warning for warning in ready["warnings"]), ready
    assert server.search("two")[0] == 300 and server.search("three")[0] == 300
    time.sleep(3)
    log = server.log.read_text()
    assert log.count("the object store does not answer") == 1, log
    assert log.count(" ERROR ") <= 2, log
    step("while the store is away, spans are taken and found, and it is said once")

    relay.mend()
    until(lambda: server.metric("store_cold_spans") == 900, "spans follow")
    until(lambda: json.loads(server.get("/readyz"))["warnings"] == [], "nothing is left to warn of")
    assert "the object store answers again" in server.log.read_text()
    assert moto.query(sql)[0][:2] == (900, 900)
    step("when it is back, they follow")

    server.send("four", 10)
    server.stop(signal.SIGKILL)
    relay.cut()
    server.start().ready()
    server.send("five", 10)
    assert server.search("five")[0] == 10
    assert "the cold table" in server.search("one")[1], server.search("one")
    relay.mend()
    until(lambda: server.metric("store_cold_spans") == 920, "the table is found")
    for batch, count in (("one", 300), ("two", 300), ("three", 300), ("four", 10), ("five", 10)):
        assert server.search(batch) == (count, "[]"), (batch, server.search(batch))
    assert moto.query("select count(*), count(distinct trace_id) from spans") == [(920, 920)]
    step("a server that is killed and starts without the store takes spans, says what it lacks, and finds the table")

    relay.delay_s, relay.breaks = 0.1, 150
    for number in range(5):
        server.send(f"late {number}", 20)
        assert server.search(f"late {number}")[0] == 20
        server.ready_warnings()
        time.sleep(1)
    until(lambda: relay.broken > 3, "connections break")
    until(lambda: server.metric("store_cold_spans") == 1020, "spans get through all the same")
    step(f"with a slow line that breaks now and then ({relay.broken} times), spans are taken at once, and get through")

    relay.delay_s, relay.breaks = 0, 1000
    server.send("broken", 20)
    until(lambda: any(URL in warning for warning in server.ready_warnings()), "readiness says that nothing gets through")
    server.send("broken too", 20)
    assert server.search("broken")[0] == 20 and server.search("broken too")[0] == 20
    relay.breaks = 0
    until(lambda: server.metric("store_cold_spans") == 1060, "what waited follows")
    until(lambda: server.ready_warnings() == [], "nothing is left to warn of")
    assert moto.query("select count(*), count(distinct trace_id) from spans") == [(1060, 1060)]
    step("with a line on which every connection breaks it says so, and what waited follows")

    for what in ("beside the server", "without it"):
        report = json.loads(server.store("verify", "--output", "json", "--data-dir", str(server.data)))
        assert report["problems"] == [] and report["cold"]["spans"] == 1060, report
        usage = json.loads(server.store("stats", "--output", "json", "--data-dir", str(server.data)))
        assert [level["spans"] for level in usage["levels"] if level["name"] == "cold"] == [1060], usage
        copy = SCRATCH / f"copy {what}"
        server.store("backup", str(SCRATCH / "backup"), "--data-dir", str(server.data))
        local = [str(BINARY), "store", "restore", str(SCRATCH / "backup"), "--data-dir", str(copy)]
        subprocess.run(local, check=True, capture_output=True)
        local = [str(BINARY), "store", "verify", "--output", "json", "--data-dir", str(copy)]
        report = json.loads(subprocess.run(local, check=True, capture_output=True).stdout)
        assert report["problems"] == [] and report["cold"]["spans"] == 1060, report
        step(f"it is checked, measured, backed up and restored {what}")
        if server.process.poll() is None:
            server.stop()

    assert server.process.returncode == 0, server.process.returncode
    second.start().ready()
    assert second.search("one") == (300, "[]")
    second.stop()
    step("after a clean stop the next server need not wait")


if __name__ == "__main__":
    main()
