"""All commands: where each is, and what the help says of it."""

from __future__ import annotations

from celeriac.cli.lazy import Branch, Leaf

TREE: dict[str, Leaf | Branch] = {
    "status": Leaf("One screen: components, queues, workers, failures, next runs.", "status:status"),
    "watch": Leaf("What happens, as it happens, on the whole screen.", "watching:watch"),
    "schedules": Branch(
        "Schedules: what runs when.",
        {
            "list": Leaf("List schedules.", "schedules:list_"),
            "show": Leaf("Show a schedule.", "schedules:show"),
            "runs": Leaf("List runs, the newest first.", "schedules:runs"),
            "explain": Leaf("Say why a schedule did or did not run.", "schedules_why:explain"),
            "preview": Leaf(
                "Show the next due times of a schedule, or of a crontab.", "schedules_why:preview"
            ),
            "run": Leaf("Run a schedule now.", "schedules_act:run"),
            "pause": Leaf("Pause a schedule, with the reason.", "schedules_act:pause"),
            "resume": Leaf("Resume a paused schedule.", "schedules_act:resume"),
            "delete": Leaf("Delete a schedule and its history.", "schedules_act:delete"),
            "backfill": Leaf("Send due times of the past again.", "schedules_act:backfill"),
            "create": Leaf("Create a schedule.", "schedules_edit:create"),
            "edit": Leaf("Edit a schedule in $EDITOR, and see the difference.", "schedules_edit:edit"),
            "apply": Leaf("Make the schedules what a manifest says.", "manifests:apply"),
            "export": Leaf("Write schedules as a manifest.", "manifests:export"),
            "import": Leaf("Take over the schedules of another beat.", "manifests:import_"),
            "dump": Leaf("Write the schedules of another beat, for import.", "manifests:dump"),
        },
    ),
    "tasks": Branch(
        "Tasks: what ran, runs and waits.",
        {
            "list": Leaf("List tasks, the newest first.", "tasks:list_"),
            "show": Leaf("Show a task: its times, attempts, error.", "tasks:show"),
            "failures": Leaf("Failures grouped by exception and place.", "tasks:failures"),
            "tail": Leaf("Follow tasks as they change.", "tasks:tail"),
            "run": Leaf("Run a task by its name.", "tasks_act:run"),
            "retry": Leaf("Run ended tasks again: one, or all that match.", "tasks_act:retry"),
            "revoke": Leaf("Revoke tasks: one, or all that match.", "tasks_act:revoke"),
            "terminate": Leaf("Kill the process of a running task.", "tasks_act:terminate"),
        },
    ),
    "queues": Branch(
        "Queues of the broker, and what waits in them.",
        {
            "list": Leaf("List queues.", "queues:list_"),
            "show": Leaf("Show a queue: length, consumers, rates.", "queues:show"),
            "peek": Leaf("Look at the next messages, which stay where they are.", "queues:peek"),
            "pause": Leaf("Stop the consumers of a queue.", "queues_act:pause"),
            "resume": Leaf("Bring the consumers back.", "queues_act:resume"),
            "purge": Leaf("Remove messages; they can be restored for ten minutes.", "queues_act:purge"),
            "purges": Leaf("List purges that can be undone.", "queues:purges"),
            "restore": Leaf("Undo a purge.", "queues_act:restore"),
            "move": Leaf("Move messages to another queue.", "queues_act:move"),
        },
    ),
    "workers": Branch(
        "Workers: who is there, and commands to them.",
        {
            "list": Leaf("List workers.", "workers:list_"),
            "show": Leaf("Show a worker: its pool, queues and tasks.", "workers:show"),
            "ping": Leaf("Ask workers whether they answer.", "workers:ping"),
            "grow": Leaf("Add processes to a worker's pool.", "workers_act:grow"),
            "shrink": Leaf("Take processes from a worker's pool.", "workers_act:shrink"),
            "add-consumer": Leaf("Have workers consume a queue, too.", "workers_act:add_consumer"),
            "cancel-consumer": Leaf("Have them consume it no more.", "workers_act:cancel_consumer"),
            "restart": Leaf("Restart the pool of workers.", "workers_act:restart"),
            "shutdown": Leaf("End workers after their tasks.", "workers_act:shutdown"),
            "forget": Leaf("Forget a worker that is gone.", "workers_act:forget"),
        },
    ),
    "alerts": Branch(
        "What is not as it should be, and who is told.",
        {
            "list": Leaf("List alerts that fire.", "alerts:list_"),
            "show": Leaf("Show an alert, and what to do.", "alerts:show"),
            "ack": Leaf("Say that you look after an alert.", "alerts:ack"),
            "silence": Leaf("Have nobody told for some time.", "alerts:silence"),
            "silences": Leaf("List the silences that hold.", "alerts:silences"),
            "unsilence": Leaf("End a silence.", "alerts:unsilence"),
            "rules": Leaf("List the rules of alerts.", "alerts:rules"),
            "channels": Leaf("List who is told.", "alerts:channels"),
            "test": Leaf("Send a message to a channel.", "alerts:test"),
        },
    ),
    "operations": Branch(
        "Long work, and how far it is.",
        {
            "list": Leaf("List operations, the newest first.", "operations:list_"),
            "show": Leaf("Show an operation.", "operations:show"),
            "wait": Leaf("Follow an operation to its end.", "operations:wait"),
            "cancel": Leaf("Ask an operation to end.", "operations:cancel"),
        },
    ),
    "system": Branch(
        "The system as a whole.",
        {
            "drain": Leaf("Stop new tasks, and let those that run end.", "system:drain"),
            "resume": Leaf("End a drain.", "system:resume"),
            "restart": Leaf("Restart all workers, one after another.", "system:restart"),
            "shutdown": Leaf("Drain, then stop the workers.", "system:shutdown"),
            "start": Leaf("Start again what was shut down.", "system:start"),
            "gaps": Leaf("Times in which events were missed.", "system:gaps"),
        },
    ),
    "questions": Branch(
        "What users ask, grouped by meaning.",
        {
            "list": Leaf("List what is asked most.", "questions:list_"),
            "clusters": Leaf("List all groups, the largest first.", "questions:clusters"),
            "show": Leaf("Show a group: its questions, days and languages.", "questions:show"),
            "ungrouped": Leaf("List what is in no group.", "questions:ungrouped"),
            "ask": Leaf("Tell the group of a question.", "questions:ask"),
            "name": Leaf("Give a group a name that stays.", "questions:name"),
            "run": Leaf("Group all questions anew.", "questions:run"),
        },
    ),
    "search": Leaf("Search messages by meaning.", "texts:search"),
    "embed": Leaf("Convert texts to vectors.", "texts:embed"),
    "audit": Branch(
        "Who did what.",
        {
            "list": Leaf("List records, the newest first.", "audit:list_"),
            "show": Leaf("Show a record.", "audit:show"),
            "verify": Leaf("Check the whole log against its signatures.", "audit:verify"),
            "export": Leaf("Write all records that match, one object a line.", "audit:export"),
        },
    ),
    "config": Branch(
        "The live configuration.",
        {
            "list": Leaf("List the keys, with their values.", "config:list_"),
            "get": Leaf("Show a key.", "config:get"),
            "set": Leaf("Change a value.", "config:set_"),
            "reset": Leaf("Go back to the default.", "config:reset"),
            "history": Leaf("List the changes of a key.", "config:history"),
            "rollback": Leaf("Go back to an earlier value.", "config:rollback"),
            "watch": Leaf("Follow keys as they change.", "config:watch"),
        },
    ),
    "login": Leaf("Keep target, token and authority as a context.", "access:login"),
    "logout": Leaf("Forget the token of a context.", "access:logout"),
    "whoami": Leaf("Say who you are, where, and until when.", "access:whoami"),
    "contexts": Leaf("List the contexts, or choose one.", "access:contexts"),
    "token": Leaf("Print the token in use.", "access:token"),
    "open": Leaf("Print a one-time link to a page.", "access:open_"),
    "completion": Leaf("Print the completion of a shell.", "access:completion"),
    "version": Leaf("Versions of the command and the system.", "access:version"),
}
