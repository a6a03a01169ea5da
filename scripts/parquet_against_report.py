"""Holds Parquet files of published events against the report of the campaign that they tell of, as DuckDB reads them.

Called by scripts/check-parquet with the folder that holds `events/parquet/` and `report.json`. The queries are those of
docs/EVENTS.md, so that what is written there works.
"""

import json
import sys
from pathlib import Path

import duckdb

# Name and type of every column, as docs/EVENTS.md lists them.
COLUMNS = {
    "id": "VARCHAR",
    "type": "VARCHAR",
    "occurred_at": "TIMESTAMP WITH TIME ZONE",
    "seen_at": "TIMESTAMP WITH TIME ZONE",
    "workspace": "VARCHAR",
    "account": "VARCHAR",
    "contact": "VARCHAR",
    "campaign": "VARCHAR",
    "recipient": "BIGINT",
    "variant": "BIGINT",
    "try_number": "BIGINT",
    "inferred": "BOOLEAN",
    "link": "VARCHAR",
    "visitor": "VARCHAR",
    "country": "VARCHAR",
    "device": "VARCHAR",
    "os": "VARCHAR",
    "browser": "VARCHAR",
    "error_code": "BIGINT",
    "amount": "DOUBLE",
    "currency": "VARCHAR",
    "data": "VARCHAR",
    # From the files' folders.
    "date": "DATE",
}

STAGES = ["sent", "delivered", "read", "clicked", "replied", "closed"]


class Check:
    """Counts what was compared and remembers what differed."""

    def __init__(self) -> None:
        self.compared = 0
        self.differences: list[str] = []

    def equal(self, what: str, found: object, expected: object) -> None:
        self.compared += 1
        if found != expected:
            self.differences.append(f"{what}: {found!r}, expected {expected!r}")


def main() -> int:
    folder = Path(sys.argv[1])
    report = json.loads((folder / "report.json").read_text())
    files = sorted((folder / "events/parquet").glob("date=*/*.parquet"))
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    pattern = str(folder / "events/parquet/*/*.parquet")
    db.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet('{pattern}', hive_partitioning = true)")

    def all_of(query: str, *parameters: object) -> list[tuple]:
        return db.execute(query, list(parameters)).fetchall()

    def one(query: str, *parameters: object) -> object:
        return all_of(query, *parameters)[0][0]

    check = Check()
    check.equal("files", len(files) > 0, True)
    columns = {name: kind for name, kind, *_ in all_of("DESCRIBE events")}
    check.equal("columns", columns, COLUMNS)
    documented = (Path(__file__).resolve().parent.parent / "docs/EVENTS.md").read_text()
    for name in COLUMNS:
        check.equal(f"docs/EVENTS.md names {name}", f"`{name}`" in documented, True)

    check.equal("ids that are there twice", one("SELECT count(*) - count(DISTINCT id) FROM events"), 0)
    for stage in STAGES:
        counted = one("SELECT count(*) FROM events WHERE type = ?", f"message.{stage}")
        check.equal(stage, counted, report["stages"][stage]["count"])
        people = one("SELECT count(DISTINCT (campaign, recipient)) FROM events WHERE type = ?", f"message.{stage}")
        check.equal(f"people {stage}", people, report["stages"][stage]["count"])
    for stage in ["delivered", "read"]:
        inferred = one("SELECT count(*) FROM events WHERE type = ? AND inferred", f"message.{stage}")
        check.equal(f"{stage}, inferred", inferred, report["stages"][stage]["inferred"])
    failed = one("SELECT count(*) FROM events WHERE type = 'message.failed'")
    check.equal("failed", failed, sum(error["count"] for error in report["errors"]))
    check.equal("clicks", one("SELECT count(*) FROM events WHERE type = 'link.clicked'"), report["clicks"]["raw"])
    human = one("SELECT count(*) FROM events WHERE type = 'link.clicked' AND visitor = 'human'")
    check.equal("clicks of people", human, report["clicks"]["human"])
    value = all_of("SELECT currency, count(*), round(sum(amount), 2) FROM events WHERE type = 'message.closed' GROUP BY 1")
    closed = report["stages"]["closed"]["count"]
    check.equal("value of the deals", value, [("MYR", closed, round(49.9 * closed, 2))])

    outside = "SELECT count(*) FROM events WHERE CAST(occurred_at AS DATE) <> date OR occurred_at > seen_at + INTERVAL 1 SECOND"
    check.equal("events in another day's folder, or seen before they happened", one(outside), 0)
    last = one("SELECT max(occurred_at) FROM events")
    check.equal("the last event is before the report", last.isoformat() <= report["as_of"].replace("Z", "+00:00"), True)
    data = "SELECT count(*) FROM events WHERE data IS NOT NULL AND NOT json_valid(data)"
    check.equal("data that is not JSON", one(data), 0)

    for file in files:
        order = """
            SELECT count(*) FROM (
                SELECT (coalesce(account, ''), type, occurred_at, id) AS this,
                       lag((coalesce(account, ''), type, occurred_at, id)) OVER (ORDER BY file_row_number) AS before
                FROM read_parquet(?, file_row_number = true))
            WHERE before > this"""
        check.equal(f"rows of {file.name} out of order", one(order, str(file)), 0)
        hours = all_of("SELECT DISTINCT strftime(occurred_at, '%Y-%m-%d %H') FROM read_parquet(?)", str(file))
        check.equal(f"hours in {file.name}", hours, [(f"{file.parent.name.removeprefix('date=')} {file.stem}",)])
        filters = "SELECT count(*) FROM parquet_metadata(?) WHERE path_in_schema = 'contact' AND bloom_filter_offset IS NULL"
        check.equal(f"row groups of {file.name} without a filter of contacts", one(filters, str(file)), 0)

    for difference in check.differences:
        print(f"check-parquet: {difference}", file=sys.stderr)
    rows = one("SELECT count(*) FROM events")
    print(f"check-parquet: {check.compared} facts of {rows} events compared, {len(check.differences)} differ")
    return 1 if check.differences else 0


if __name__ == "__main__":
    sys.exit(main())
