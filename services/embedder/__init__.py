"""The embedder: converts texts to 1024-dimensional vectors, searches by meaning, and groups questions.

Its rooms, top first; each may import only those below it (contracts in pyproject.toml):

checking        `check`: how a model is read, what it costs, and how its vectors look
commands        `serve` and `work`: load the model, and start the process that uses it
serving         builds the gRPC process
api             the gRPC servicers, and conversion between the contract's messages and domain objects
online          embeds the texts of many callers in shared batches
search          the FAISS index, synchronised with the table of vectors
bulk            embeds stored messages with Celery: plan, chunks, tasks, worker
insights        questions grouped by meaning: clusters and their parts, identity, analyses, assigning, ranking
counts          how many texts and tokens were embedded, for Prometheus
model           a model: its folder, its ONNX graph, token packing, and the default model
messages        chat messages and their table
store_requests  requests with an id: each begins one operation
"""
