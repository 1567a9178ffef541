"""The WebSocket: what WatchEvents of the monitor tells, as JSON for browsers.

Its modules, top first; each may import only those below it:

metrics   how many sockets there are, and what they missed
endpoint  the path, and the life of one socket: who may open one, its messages in both directions, its end
feeds     one stream of the monitor for all sockets that want the same and may read the same
listener  what waits to be sent over one socket, within a bound
messages  the texts that are sent: each is made once for all sockets that get it
wishes    what a client wants, from the text that it sent
"""
