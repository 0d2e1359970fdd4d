"""HTTP surfaces: the API, the metrics exporter and the board. Reads through Queries, acts through Commands."""

from healthmon.web.app import make_app
from healthmon.web.exporter import counter_key
from healthmon.web.settings import WebSettings

__all__ = ["WebSettings", "counter_key", "make_app"]
