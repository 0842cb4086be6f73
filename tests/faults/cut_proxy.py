"""A TCP proxy that can cut what goes through it, as a network does."""

import asyncio
import threading


class CutProxy:
    """Listens on a free port of loopback (`port`) and passes on to `target`; one thread, until close()."""

    def __init__(self, target):
        self.target, self.port = target, 0
        self._open, self._writers = True, set()
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()

    def _run(self, ready):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        other = None
        try:
            if self._open:
                to_reader, other = await asyncio.open_connection("127.0.0.1", self.target)
                self._writers.add(other)
                await asyncio.gather(self._pipe(reader, other), self._pipe(to_reader, writer))
        except OSError:
            pass  # the target is down: whoever connected sees the connection end
        finally:
            for end in (writer, other):
                self._writers.discard(end)
                if end is not None:
                    end.close()

    @staticmethod
    async def _pipe(reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def cut(self):
        """Ends every connection and lets none through until mend()."""
        self._open = False
        self._loop.call_soon_threadsafe(lambda: [w.transport.abort() for w in list(self._writers)])

    def mend(self):
        self._open = True

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
