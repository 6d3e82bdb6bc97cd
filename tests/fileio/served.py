"""A small server of files, with ranges, that counts what it is asked for and can break off."""

import http.server
import threading
from contextlib import contextmanager


class Served:
    """What the server has: {path: content}; `cut` breaks the next answer off after so many bytes."""

    def __init__(self):
        self.files, self.asked, self.cut, self.url = {}, [], None, ""


@contextmanager
def serving():
    state = Served()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append((self.path, self.headers.get("Range")))
            content = state.files.get(self.path.partition("?")[0])
            if content is None:
                self.send_error(404)
                return
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
            if start >= len(content) > 0:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            part, state.cut = content[start:][: state.cut], None
            self.wfile.write(part)

        def log_message(self, *_):
            """Silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield state
        server.shutdown()
        thread.join()
