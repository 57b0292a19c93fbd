"""The tables of the prediction log, the same in SQLite and in Postgres.

Times are whole microseconds since 1970 in UTC: they sort, they subtract, and they mean the same in every database.
"""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, String, Table, Text

METADATA = MetaData()

# roles: who answered, a fallback being the champion where the canary could not; a shadow's answers have their own table
CHAMPION, CANARY, FALLBACK = "champion", "canary", "fallback"

QUARANTINED, KNOWN = "quarantined", "known"  # in the place of a label's partition: not believed; in the data already

PREDICTIONS = Table(
    "predictions",
    METADATA,
    Column("id", String(26), primary_key=True),  # sorts by time
    Column("time", BigInteger, nullable=False),
    Column("task", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("role", String(16), nullable=False),
    Column("request", LargeBinary),  # one example as JSON in the task's request form; NULL where inputs are left out
    Column("prediction", String(255), nullable=False),
    Column("confidence", Double, nullable=False),  # of a number: the width of its interval
    # JSON list, as the target of the version has it: by its classes; or value, low and high of a number
    Column("probabilities", Text, nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("descriptors", Text),  # JSON object; NULL until somebody has asked for them
)
Index("predictions_by_time", PREDICTIONS.c.task, PREDICTIONS.c.time)

LABELS = Table(
    "labels",
    METADATA,
    Column("prediction_id", String(26), primary_key=True),
    Column("task", String(64), nullable=False),
    Column("label", String(255), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("revisions", Integer, nullable=False, default=0),  # how often another label replaced an earlier one
    Column("partition", String(64)),  # of the partition that has it, or a word from above; NULL: not yet used
)
Index("labels_by_time", LABELS.c.task, LABELS.c.time)

SHADOWS = Table(  # what the challenger would have answered
    "shadows",
    METADATA,
    Column("prediction_id", String(26), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("prediction", String(255), nullable=False),
    Column("confidence", Double, nullable=False),
    Column("probabilities", Text, nullable=False),
    Column("latency_ms", Double, nullable=False),
)

REQUESTS = Table(  # counts by minute, for rates of errors and refusals: what was not answered is no prediction
    "requests",
    METADATA,
    Column("task", String(64), primary_key=True),
    Column("minute", BigInteger, primary_key=True),  # its first microsecond
    Column("worker", String(64), primary_key=True),  # host:pid
    Column("status", Integer, primary_key=True),  # of HTTP
    Column("count", Integer, nullable=False),
)

CHECKS = Table(  # one row a window that was judged; the same window judged again replaces it
    "checks",
    METADATA,
    Column("task", String(64), primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("end", BigInteger, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("verdict", String(16), nullable=False),  # clean, drift, too_few_rows
    Column("report", Text, nullable=False),  # drift.json
    Column("alert", Text),  # what became of the webhook; NULL where none was due
)

ATTEMPTS = Table(  # one row an attempt to retrain
    "attempts",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("task", String(64), nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("ended", BigInteger),  # NULL: under way, or killed
    Column("process", String(255), nullable=False),  # host:pid:start in seconds
    Column("trigger", String(32), nullable=False),  # drift, quality, new_labels, schedule, by_hand
    Column("reasons", Text, nullable=False),  # JSON list of sentences
    Column("partition", String(64)),  # sha256 of the new data
    Column("data", Text),  # JSON: labels, used, duplicates, quarantined with reasons
    Column("champion_before", Integer),
    Column("challenger", Integer),
    Column("champion_after", Integer),
    Column("outcome", String(16), nullable=False),  # running, promoted, refused, failed, unchanged
    Column("verdict", Text),  # JSON: the gate's reasons and comparisons, or the error
)
