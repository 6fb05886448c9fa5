"""Reads the table of a running server with other programs, while spans are being written to it, and compares.

Every SQL statement of the page runs in DuckDB. What DuckDB and deltalake read is compared with what was sent, span by
span and attribute by attribute, and with what the server answers itself.

Usage: table.py HTTP OTLP TABLE PAGE
"""

import collections
import json
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

import duckdb
import duckdb_extension_delta
from deltalake import DeltaTable, QueryBuilder

from shop import Shop, value

PATIENCE = 90
LANES = {"string": "stringValue", "int": "intValue", "double": "doubleValue", "bool": "boolValue"}


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.2)
    sys.exit(f"after {PATIENCE} s still not there: {what}")


def open_duckdb(table, page):
    """A connection with the view and macros of the page, and the page's queries."""
    extension = next(pathlib.Path(duckdb_extension_delta.__file__).parent.rglob("delta.duckdb_extension"))
    db = duckdb.connect()
    db.execute("SET autoinstall_known_extensions = false")
    db.execute(f"LOAD '{extension}'")
    queries = []
    for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL):
        assert "spanlight-data/cold" in block or "spans" in block, block
        for statement in filter(str.strip, block.replace("spanlight-data/cold", table).split(";\n")):
            if statement.lstrip().startswith("CREATE"):
                db.execute(statement)
            else:
                queries.append(statement)
    return db, queries


def attribute_columns(table):
    """Which column of the table holds which attribute of spans."""
    fields = json.loads(DeltaTable(table).schema().to_json())["fields"]
    columns = [(field["name"], field["metadata"]) for field in fields]
    return {
        name: metadata["spanlight.key"]
        for name, metadata in columns
        if metadata.get("spanlight.scope") == "span"
    }


def read_spans(db, table):
    """Every span of the table at one moment: its fields, and its attributes as OTLP's JSON has them."""
    columns = attribute_columns(table)
    names = ", ".join(f'"{name}"' for name in columns)
    rows = db.execute(
        f"SELECT hex(trace_id), hex(span_id), hex(parent_span_id), service_name, name, status_code,"
        f" epoch_us(start_time) * 1000 + coalesce(start_time_nanos, 0), duration_nano, attributes, {names} FROM spans"
    ).fetchall()
    spans = {}
    for trace, span, parent, service, name, status, start, duration, tail, *own in rows:
        attributes = {key: value(plain) for key, plain in zip(columns.values(), own) if plain is not None}
        for entry in tail:
            lane = next((lane for lane in (*LANES, "json") if entry[lane] is not None), None)
            plain = json.loads(entry["json"]) if lane == "json" else value(entry[lane])
            assert entry["key"] not in attributes, f"{entry['key']} twice in span {span}"
            attributes[entry["key"]] = plain
        key = (trace.lower(), span.lower())
        assert key not in spans, f"span {key} is there twice"
        spans[key] = {
            "parent": (parent or "").lower(),
            "service": service,
            "name": name,
            "error": status == "error",
            "start": start,
            "duration": duration,
            "attributes": attributes,
        }
    return spans


def expected(sent):
    return {
        "parent": sent["parentSpanId"],
        "service": sent["service"],
        "name": sent["name"],
        "error": sent["error"] is not None,
        "start": sent["start"],
        "duration": sent["end"] - sent["start"],
        "attributes": {key: value(plain) for key, plain in sent["attributes"].items()},
    }


def ask(http, path, **parameters):
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"http://{http}{path}?{query}", timeout=60) as response:
        return json.load(response)


def counts_of_server(http, query, label):
    """Sums of a count by a label, as the server answers them."""
    answer = ask(http, "/api/v1/metrics", q=query, start="now-1h", end="now", step="5m")
    counts = collections.Counter()
    for series in answer["series"]:
        counts[series["labels"][label]] += round(sum(count for _, count in series["samples"]))
    return dict(counts)


def compare_traces(http, spans, traces):
    """The server's OTLP of some traces against the table's rows."""
    for trace in traces:
        answer = ask(http, f"/api/v1/traces/{trace}", format="otlp")
        seen = 0
        for resource in answer["resourceSpans"]:
            for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
                row = spans[trace, span["spanId"]]
                attributes = {entry["key"]: entry["value"] for entry in span["attributes"]}
                assert row["attributes"] == attributes, (row, span)
                assert row["start"] == int(span["startTimeUnixNano"]), (row, span)
                seen += 1
        rows = sum(1 for key in spans if key[0] == trace)
        assert seen == rows, f"trace {trace}: the server has {seen} spans, the table {rows}"


def run_queries(db, queries):
    for query in queries:
        rows = db.execute(query).fetchall()
        assert rows, f"no rows:\n{query}"
        assert any(cell is not None for cell in rows[0]), f"nothing in the rows:\n{query}"
    return len(queries)


def main(http, otlp, table, page):
    page = pathlib.Path(page).read_text(encoding="utf-8")
    # Every statement needs the table; the page without its queries would be no page.
    with Shop(otlp) as shop:
        ready = lambda: pathlib.Path(table, "_delta_log").is_dir() and "user.id" in attribute_columns(table).values()
        wait_for("spans in the table", ready)
        db, queries = open_duckdb(table, page)
        assert len(queries) == 10, f"the page has {len(queries)} queries"
        run_queries(db, queries)
        compared = 0
        for _ in range(3):
            spans = read_spans(db, table)
            for key, span in spans.items():
                # What is in the table was acknowledged, or is about to be.
                if key in shop.sent:
                    assert span == expected(shop.sent[key]), (span, expected(shop.sent[key]))
                    compared += 1
            time.sleep(0.5)
        assert compared > 1000, f"only {compared} spans were compared while the table was written to"
        run_queries(db, queries)
    if shop.failure:
        raise shop.failure
    settled(http, table, db, shop.sent)
    print(f"{len(queries)} queries; {compared} spans compared while more came, {len(shop.sent)} afterwards")


def settled(http, table, db, sent):
    """Nothing comes any more: all counts are the same, whoever counts."""
    count = lambda: db.execute("SELECT count(*) FROM spans").fetchone()[0] == len(sent)
    wait_for("all spans in the table", count)
    spans = read_spans(db, table)
    assert spans.keys() == sent.keys()
    for key, span in spans.items():
        assert span == expected(sent[key]), (span, expected(sent[key]))
    by_service = dict(collections.Counter(span["service"] for span in sent.values()))
    duck = dict(db.execute("SELECT service_name, count(*) FROM spans GROUP BY ALL").fetchall())
    assert duck == by_service, (duck, by_service)
    builder = QueryBuilder().register("spans", DeltaTable(table))
    delta = builder.execute("SELECT service_name, count(*) AS n FROM spans GROUP BY service_name").read_all()
    delta = dict(zip(delta["service_name"].to_pylist(), delta["n"].to_pylist()))
    assert delta == by_service, (delta, by_service)
    server = counts_of_server(http, "{ } | count_over_time() by (resource.service.name)", "resource.service.name")
    assert server == by_service, (server, by_service)
    cold = db.execute(
        "SELECT span_faas_name, count(*) FROM spans WHERE span_faas_coldstart GROUP BY ALL"
    ).fetchall()
    server = counts_of_server(
        http, "{ span.faas.coldstart = true } | count_over_time() by (span.faas.name)", "span.faas.name"
    )
    assert dict(cold) == server, (cold, server)
    compare_traces(http, spans, sorted({trace for trace, _ in spans})[:30])


if __name__ == "__main__":
    main(*sys.argv[1:])
