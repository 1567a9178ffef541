"""What Prometheus reads of the monitor.

metrics     all of it, put together for each scrape
of_tasks    totals of all monitors: tasks by queue, name and exception, how long they ran and waited
of_events   events, gaps, and this monitor's own work
of_workers  workers, by hostname
of_queues   queues, from the newest reading of the measures
of_alerts   alerts that fire
of_system   components, broker, machine, operations, from the newest reading
families    a family of metrics beside its samples

Whoever adds metrics adds a part (`families.Part`) to `serving/exposing.py`.
"""
