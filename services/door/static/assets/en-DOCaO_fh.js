var e={"success-low":`<p><strong>What it means.</strong> <code>success_percent</code> has been below 95 for two minutes: of all tasks that ended in the last five minutes,
more than one in twenty is in <code>FAILURE</code>. Retries and revoked tasks don&#39;t count. Users miss what these tasks should have
made. It ends at 97.</p>
<p><strong>How to look.</strong> What fails, where in the code, and since when; then the newest failures:</p>
<pre><code class="language-sh">ask /v1/tasks:groupFailures
ask &#39;/v1/tasks?states=TASK_STATE_FAILURE&amp;page_size=5&#39;
ask /v1/metrics/realtime
</code></pre>
<p>Good: no group, or old ones. Bad: one large group with a fresh last time; its place is the line of your code, its message
the reason. <code>ask /v1/tasks/&lt;id&gt;</code> of its newest task has the traceback and each attempt. In the figures, <code>failed</code> of each
task name says whether one kind of task fails or all: all means a server that everything needs.</p>
<p><strong>What to do.</strong></p>
<ol>
<li><p>Mend the cause that the exception names: a database, an API, a password, a full disk. It costs nothing here; what
failed stays listed.</p>
</li>
<li><p>A new release causes it: go back to the one before.</p>
</li>
<li><p>Until it is mended, stop what fails. Pause its queue: tasks wait instead of failing. Other tasks of this queue wait, too.</p>
<pre><code class="language-console">ask /v1/queues/mail:pause -d &#39;{&quot;reason&quot;: &quot;the mail server is away&quot;}&#39;
ask /v1/queues/mail:resume -d &#39;{}&#39;
</code></pre>
</li>
<li><p>When the cause is gone, run the failed tasks again. Look first; then send <code>matched_count</code> of that answer. Tasks that had
done half of their work do it twice, if they are not made for that.</p>
<pre><code class="language-console">ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_FAILURE&quot;], &quot;task_names&quot;: [&quot;shop.mail&quot;]},
    &quot;validate_only&quot;: true}&#39;
ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_FAILURE&quot;], &quot;task_names&quot;: [&quot;shop.mail&quot;]},
    &quot;expected_count&quot;: 12}&#39;
</code></pre>
</li>
</ol>
<p><strong>If it is a false alarm.</strong> With few tasks one failure is enough: of ten tasks it is 10 %. Then let it hold longer, or lower
the threshold:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/success-low?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 80, &quot;clear_threshold&quot;: 90}&#39;
</code></pre>
<p>If one kind of task fails as a matter of course, make a rule of your own about <code>task_success_percent</code>, which is measured
for each task name, with that one in <code>excluded_subject_patterns</code>, and pause this rule.</p>
`,"runtime-long":`<p><strong>What it means.</strong> <code>mean_runtime_seconds</code> has been 30 or more for two minutes: the mean over all tries of tasks that ended
in the last five minutes, failed ones too. Users wait longer; queues grow next. It ends below 25.</p>
<p><strong>How to look.</strong> Which task is slow, which tasks run now, and whether the machine is busy:</p>
<pre><code class="language-sh">ask /v1/metrics/realtime
ask &#39;/v1/tasks?states=TASK_STATE_STARTED&amp;page_size=20&#39;
ask /v1/system/metrics
WORKER=worker-maintenance@celeriac     # the worker of a slow task
ask /v1/workers/$WORKER:inspect
</code></pre>
<p>Good: <code>p50_runtime</code> of each task is as it always was. Bad: one task has a large <code>p99_runtime</code> (that task, or what it
calls); all have (a database or an API that all use, or <code>cpu_percent</code> near 100). In <code>active_tasks</code> of the worker,
<code>started_time</code> shows what hangs.</p>
<p><strong>What to do.</strong></p>
<ol>
<li><p>Look at what the slow task waits for: locks and slow queries in its database, an API without a time-out.</p>
</li>
<li><p>The machine is busy: move work elsewhere, or take processes away. More processes make it slower.</p>
<pre><code class="language-console">ask /v1/workers:shrinkPool -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;], &quot;count&quot;: 1}&#39;
</code></pre>
</li>
<li><p>One task floods the rest: limit it. What is over the limit waits at the workers until they are restarted or told anew.</p>
<pre><code class="language-console">ask /v1/workers:limitTaskRate \\
  -d &#39;{&quot;all&quot;: true, &quot;task_name&quot;: &quot;shop.report&quot;, &quot;rate_limit&quot;: &quot;10/m&quot;}&#39;
</code></pre>
</li>
<li><p>A single task hangs: kill it. What it was doing is left half done.</p>
<pre><code class="language-console">ask /v1/tasks/&lt;id&gt;:revoke -d &#39;{&quot;terminate&quot;: true}&#39;
</code></pre>
</li>
<li><p>For the future, give the task a <code>time_limit</code>, in its decorator or in its schedule.</p>
</li>
</ol>
<p><strong>If it is a false alarm.</strong> Work that is long by nature, such as a nightly report, raises the mean when little else ends.
Raise the threshold, or make a rule about <code>task_mean_runtime_seconds</code> with the long ones excluded, and pause this one:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/runtime-long?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 120, &quot;clear_threshold&quot;: 100}&#39;
</code></pre>
`,"queue-long":`<p><strong>What it means.</strong> <code>queue_length</code> of the queue in <code>subject</code> has been 10 or more for five minutes: messages come faster than
workers take them. Users wait for what these tasks do. It ends below 8.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">QUEUE=maintenance     # the subject of the alert
ask /v1/queues/$QUEUE
ask &quot;/v1/queues/$QUEUE:peek?count=10&quot;
ask &#39;/v1/tasks?states=TASK_STATE_STARTED&amp;page_size=20&#39;
</code></pre>
<table>
<thead>
<tr>
<th>the queue shows</th>
<th>then</th>
</tr>
</thead>
<tbody><tr>
<td><code>pause</code></td>
<td>somebody paused it, and says why: step 1</td>
</tr>
<tr>
<td><code>consumer_count</code> 0</td>
<td>queue-without-consumer</td>
</tr>
<tr>
<td><code>deliveries_per_second</code> near 0, <code>unacknowledged</code> not 0</td>
<td>workers are busy with long or hanging tasks: runtime-long</td>
</tr>
<tr>
<td><code>arrivals_per_second</code> above <code>deliveries_per_second</code></td>
<td>too few workers, or too many tasks: the look (<code>peek</code>) says which</td>
</tr>
<tr>
<td><code>time_to_empty</code> of some minutes</td>
<td>it gets better by itself: wait</td>
</tr>
</tbody></table>
<p><strong>What to do.</strong></p>
<ol>
<li><p>Paused, and the reason is over: <code>ask /v1/queues/$QUEUE:resume -d &#39;{}&#39;</code>.</p>
</li>
<li><p>More processes on the workers that there are, if CPU and memory allow it. It holds until the worker is restarted.</p>
<pre><code class="language-console">ask /v1/workers:growPool -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;], &quot;count&quot;: 2}&#39;
</code></pre>
</li>
<li><p>Another worker: start one with <code>-Q &lt;queue&gt;</code>, or let one that is idle consume it too. It must know the tasks.</p>
<pre><code class="language-console">ask /v1/workers:addConsumer \\
  -d &#39;{&quot;workers&quot;: [&quot;workers/other@host&quot;], &quot;queue&quot;: &quot;queues/mail&quot;}&#39;
</code></pre>
</li>
<li><p>A schedule floods it: <code>ask /v1/schedules/&lt;id&gt;:pause -d &#39;{}&#39;</code>. Its due times are not made up for after the resume.</p>
</li>
<li><p>Tasks that nobody needs any more: take them out. <code>expected_length</code> is the length that you saw. <code>ask /v1/purges</code> and
<code>ask /v1/purges/&lt;id&gt;:undo -d &#39;{}&#39;</code> bring them back for ten minutes; after that they are gone.</p>
<pre><code class="language-console">ask /v1/queues/mail:purge -d &#39;{&quot;expected_length&quot;: 120}&#39;
</code></pre>
</li>
</ol>
<p><strong>If it is a false alarm.</strong> Queues of bulk work are long by design. Exclude them, or raise the threshold for all:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/queue-long?update_mask=excluded_subject_patterns&#39; \\
  -X PATCH -d &#39;{&quot;excluded_subject_patterns&quot;: [&quot;bulk_*&quot;]}&#39;
</code></pre>
`,"worker-memory-high":`<p><strong>What it means.</strong> <code>worker_memory_bytes</code> of the worker in <code>subject</code> has been above 512 MiB for five minutes: its main
process and its pool together. If it grows on, the system kills a process of the machine, and its task is lost or starts
anew. Only workers on the monitor&#39;s own machine are measured, by the host after the <code>@</code> in their name; so the workers that
<code>make up</code> runs (<code>…@celeriac</code>) are not, and <code>make status</code> shows their memory. It ends below 480 MiB.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">WORKER=worker-maintenance@celeriac     # the subject of the alert
ask /v1/workers/$WORKER:inspect
ask /v1/system/metrics
make status
</code></pre>
<p>Good: memory stays as it is, and <code>memory_available_bytes</code> of the machine is far from 0. Bad: it grows from minute to
minute. <code>processes</code> shows which process of the pool is large, <code>active_tasks</code> what it runs, and <code>processed</code> which tasks the
worker ran.</p>
<p><strong>What to do.</strong></p>
<ol>
<li><p>The machine has room, and the worker does not grow: note it, and look in the morning.</p>
</li>
<li><p>New processes for the pool; each ends its task first. The application must have set <code>worker_pool_restarts</code>.</p>
<pre><code class="language-console">ask /v1/workers:restartPool -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;]}&#39;
</code></pre>
</li>
<li><p>Stop the worker, warm: it ends its tasks, and its supervisor (systemd, Kubernetes) must start it again. Nothing is lost;
until it is back, its queues have a worker less. Needs super_admin.</p>
<pre><code class="language-console">ask /v1/workers:shutdown -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;]}&#39;
</code></pre>
</li>
<li><p>It does not end and the machine is about to fall over: <code>kill -9</code> of the process. Its tasks are run again
(<code>acks_late</code>) or orphaned.</p>
</li>
<li><p>For the future: start workers with <code>--max-memory-per-child=400000</code> (KiB) or <code>--max-tasks-per-child=1000</code>, so that Celery
replaces a process that grew.</p>
</li>
</ol>
<p><strong>If it is a false alarm.</strong> Memory that processes of a pool share since their start is counted for each of them. And a worker
with a model in memory is large by design: raise the threshold (bytes; this is 2 GiB), or exclude it, as
<code>worker-analysis@celeriac</code> is already:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/worker-memory-high?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 2147483648, &quot;clear_threshold&quot;: 2040109465}&#39;
</code></pre>
`,"scheduler-late":`<p><strong>What it means.</strong> <code>scheduler_late_seconds</code> has been 5 or more for 30 seconds: the run that is most overdue has not been
sent. Nightly jobs and periodic work do not begin. While the scheduler does not answer, this is not known: then
<code>component-unwell</code> fires instead. Runs held by a drain or by a broker that is away are recorded, and don&#39;t count as late.
The alert of Prometheus, <code>CeleriacSchedulerLate</code>, is about how late messages reached their queues.</p>
<p><strong>How to look.</strong> The first of this list is the one that is late; then why:</p>
<pre><code class="language-sh">ask &#39;/v1/schedules?order_by=next_run_time&amp;page_size=3&#39;
SCHEDULE=cleanup-cache-daily     # the id of the late one
ask /v1/schedules/$SCHEDULE:explain
curl --silent http://127.0.0.1:8449/metrics | grep -E &#39;left_out|own_faults|last_success.*dispatch&#39;
</code></pre>
<p>Good: <code>next_run_time</code> of all is in the future. Bad: it is in the past. <code>summary</code> and <code>next_step</code> say what is wrong and what to
do. <code>celeriac_scheduler_schedules_left_out</code> above 0: the scheduler&#39;s own code fails on this schedule, and <code>schedule.left_out</code>
in its log has the exception. If many are late: the database is slow, or the scheduler hangs.</p>
<p><strong>What to do.</strong></p>
<ol>
<li>Read the log: <code>make logs NAME=scheduler FOLLOW=0</code>. Errors of the database: component-unwell.</li>
<li>One schedule is left out: pause it (<code>ask /v1/schedules/&lt;id&gt;:pause -d &#39;{}&#39;</code>), report the exception, and run its task by
hand if it can&#39;t wait: <code>POST /v1/tasks:run</code>. All other schedules go on meanwhile.</li>
<li>It hangs: <code>kill -USR1 PID</code> writes the stack of each thread to the log; then restart the scheduler. It sends each due time
once, also those that passed meanwhile, as each schedule&#39;s misfire policy says.</li>
<li>Due times of the past that were missed: <code>POST /v1/schedules/&lt;id&gt;:backfill</code>
(scheduling.md).</li>
</ol>
<p><strong>If it is a false alarm.</strong> Compare the clocks: the scheduler goes by the database&#39;s, and this measure by the monitor&#39;s. If
they differ by seconds, set them right (NTP). If five seconds are nothing to you:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/scheduler-late?update_mask=threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 60}&#39;
</code></pre>
`,"component-unwell":`<p><strong>What it means.</strong> <code>component_unwell</code> of the component in <code>subject</code> has been 2 (unhealthy) for a minute. 1 is degraded and
raises nothing here. What users feel depends on the component; see the table.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">make status
ask /v1/system/status
</code></pre>
<p>Bad: <code>HEALTH_UNHEALTHY</code>, and <code>detail</code> says why. <code>no answer within 2.0 s</code>: it hangs or is cut off. <code>UNAVAILABLE: …</code>: it does not
run, or its certificate is refused. <code>without success for more than 60 s: dispatch</code>: it answers, but this loop fails
(loop-failing). Then read its log: <code>make logs NAME=&lt;component&gt; FOLLOW=0</code>.</p>
<table>
<thead>
<tr>
<th>component</th>
<th>while it is away</th>
</tr>
</thead>
<tbody><tr>
<td>scheduler</td>
<td>no schedule runs; due times are made up for afterwards</td>
</tr>
<tr>
<td>embedder</td>
<td>no vectors, no search</td>
</tr>
<tr>
<td>audit</td>
<td>calls go on; entries wait in the database; audit-delayed</td>
</tr>
<tr>
<td>door</td>
<td>no sign-in, no pages; calls with tokens go on</td>
</tr>
<tr>
<td>monitor</td>
<td>it can&#39;t write what it hears; a loop hangs</td>
</tr>
<tr>
<td>database</td>
<td>nothing works but what is running; no alert can begin or end</td>
</tr>
<tr>
<td>broker</td>
<td>no task is sent or taken; runs wait in the database</td>
</tr>
</tbody></table>
<p><strong>What to do.</strong></p>
<ol>
<li>Look whether its process runs (<code>make status</code>, systemd, Kubernetes), and how it ended: <code>last exit</code>, the last lines of
its log. The last line says why a start failed: a wrong setting, a port that is taken, tables that are too old.</li>
<li><code>database</code>: is the server there, and has its disk room (<code>its disk is full</code>: disk-full)? Are there connections
left: <code>SELECT count(*) FROM pg_stat_activity</code>? Services come back by themselves when it is back.</li>
<li><code>broker</code>: <code>redis-cli ping</code>, <code>redis-cli info memory</code>, <code>redis-cli info persistence</code>. A server that has just started loads its
data first. If it came back empty, see tasks-lost.</li>
<li>A service that hangs: <code>kill -USR1 PID</code> (where it hangs stands then in its log), and restart it. Nothing is lost.
<strong>Not <code>audit</code> if its log is stopped</strong>: <code>ask /v1/audit/status</code>, and audit.md.</li>
<li>A certificate is refused: certificate-expires.</li>
<li>Last: <code>make down</code> and <code>make up</code>. Tasks that run are given a minute, and then go back to their queue.</li>
</ol>
<p><strong>If it is a false alarm.</strong> A service that is restarted is unhealthy for seconds only. For planned work longer than that, set
a silence. If you run without a component, exclude it:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/component-unwell?update_mask=excluded_subject_patterns&#39; \\
  -X PATCH -d &#39;{&quot;excluded_subject_patterns&quot;: [&quot;door&quot;]}&#39;
</code></pre>
`,"queue-without-consumer":`<p><strong>What it means.</strong> <code>queue_unread_length</code> of the queue in <code>subject</code> has been above 0 for a minute: messages wait, and no worker
consumes the queue. These tasks do not run, however long one waits. While a worker has not told its queues, nothing is
known and nothing begins.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">QUEUE=maintenance     # the subject of the alert
ask /v1/queues/$QUEUE
ask &#39;/v1/workers?states=WORKER_STATE_ONLINE&amp;states=WORKER_STATE_SILENT&#39;
ask &quot;/v1/queues/$QUEUE:peek?count=10&quot;
</code></pre>
<p>Good: <code>consumers</code> names workers. Bad: it is empty. A queue that somebody paused, and a drained system, raise no such alert,
so the workers of the queue are not there: did they end, or is the name of the queue misspelt by whoever sends (the look shows which tasks)?</p>
<p><strong>What to do.</strong></p>
<ol>
<li><p>The worker has ended: start it again. Under <code>make up</code> the supervisor does; <code>make logs NAME=worker-maintenance FOLLOW=0</code>
tells why it ended. Elsewhere: <code>systemctl status</code>, <code>kubectl get pods</code>.</p>
</li>
<li><p>No worker was ever there for it: start one with <code>-Q &lt;queue&gt;</code>, or let one that knows the tasks consume it until it is
restarted.</p>
<pre><code class="language-console">ask /v1/workers:addConsumer \\
  -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;], &quot;queue&quot;: &quot;queues/mail&quot;}&#39;
</code></pre>
</li>
<li><p>The name was misspelt: correct the sender, and move the messages.</p>
<pre><code class="language-console">ask /v1/queues/mial:moveMessages \\
  -d &#39;{&quot;destination_queue&quot;: &quot;queues/mail&quot;, &quot;count&quot;: 100, &quot;validate_only&quot;: true}&#39;
ask /v1/queues/mial:moveMessages \\
  -d &#39;{&quot;destination_queue&quot;: &quot;queues/mail&quot;, &quot;count&quot;: 100}&#39;
</code></pre>
</li>
<li><p>Nobody needs them: purge, as in queue-long. Undo is possible for ten minutes.</p>
</li>
</ol>
<p><strong>If it is a false alarm.</strong> Queues whose workers come only now and then:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/queue-without-consumer?update_mask=excluded_subject_patterns&#39; \\
  -X PATCH -d &#39;{&quot;excluded_subject_patterns&quot;: [&quot;nightly_*&quot;]}&#39;
</code></pre>
`,"tasks-orphaned":`<p><strong>What it means.</strong> <code>tasks_orphaned</code> is above 0: in the last five minutes tasks became <code>ORPHANED</code>. Their worker is gone, no
other worker has them, and their message is neither queued nor unacknowledged. They ran half or not at all, and will not
run again by themselves. Users miss their results. It ends five minutes after the last one.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask &#39;/v1/tasks?states=TASK_STATE_ORPHANED&amp;page_size=20&#39;
ask &#39;/v1/workers?states=WORKER_STATE_GONE&amp;states=WORKER_STATE_SILENT&#39;
make status
</code></pre>
<p>Good: no task. Bad: tasks with a <code>state_reason</code>, and a worker that is <code>GONE</code> without having been stopped by somebody. Why did
it die? <code>dmesg | grep -i kill</code> (out of memory), its log, the machine&#39;s uptime, a rollout that used <code>kill -9</code>.</p>
<p><strong>What to do.</strong></p>
<ol>
<li><p>Are the workers back? <code>ask &#39;/v1/workers?states=WORKER_STATE_ONLINE&#39;</code>. If not, start them first.</p>
</li>
<li><p>A worker that was only cut off and is back takes its tasks back: they lose the state by themselves. Wait a minute.</p>
</li>
<li><p>Run the orphaned tasks again. Look first: the answer says how many can be retried, and why others can&#39;t. A task that
had done half of its work does it twice, if it is not made for that.</p>
<pre><code class="language-console">ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_ORPHANED&quot;]}, &quot;validate_only&quot;: true}&#39;
ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_ORPHANED&quot;]}, &quot;expected_count&quot;: 4}&#39;
</code></pre>
</li>
<li><p><code>ARGUMENTS_UNKNOWN</code>: nothing knows their arguments. Whoever sent them has to send them again.</p>
</li>
<li><p>For the future: <code>task_acks_late=True</code> together with <code>task_reject_on_worker_lost=True</code> have the broker deliver such tasks
again; then they must be safe to run twice.</p>
</li>
</ol>
<p><strong>If it is a false alarm.</strong> Workers that are killed on purpose and whose tasks don&#39;t matter: raise the threshold. Tasks whose
message waits for Celery&#39;s <code>visibility_timeout</code> are not orphaned, and never raise this.</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/tasks-orphaned?update_mask=threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 20}&#39;
</code></pre>
`,"tasks-lost":`<p><strong>What it means.</strong> <code>tasks_lost</code> is above 0: in the last five minutes tasks became <code>LOST</code>. The broker started again without
their messages, and no worker was heard to have begun them. They will not run. What users asked for shortly before the
broker&#39;s restart does not happen. It ends five minutes after the last one.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask &#39;/v1/tasks?states=TASK_STATE_LOST&amp;page_size=20&#39;
ask &#39;/v1/runs?states=RUN_STATE_LOST&amp;page_size=20&#39;
ask /v1/system/status
</code></pre>
<pre><code class="language-console">redis-cli info server | grep uptime
redis-cli info persistence | grep -E &#39;aof_enabled|aof_last_write|rdb_last_bgsave_status&#39;
redis-cli config get dir
</code></pre>
<p>Good: no task, no run. Bad: tasks whose <code>state_reason</code> names the broker&#39;s restart; <code>aof_enabled:0</code>, which means that each
restart loses what came after the last copy; an empty data folder, which means that it lost everything.</p>
<p><strong>What to do.</strong></p>
<ol>
<li><p>Find out whether the old data can still be had (a volume that was not mounted, a replica that was promoted empty). If so,
stop senders and workers, start the broker with the old data, and go on from there: tasks that are heard of again take
their true state.</p>
</li>
<li><p>Run the lost tasks again. Look first, then with the number that it told:</p>
<pre><code class="language-console">ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_LOST&quot;]}, &quot;validate_only&quot;: true}&#39;
ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_LOST&quot;]}, &quot;expected_count&quot;: 40}&#39;
</code></pre>
</li>
<li><p>Lost runs of schedules: those of schedules with <code>resend_lost</code> were sent again already. Others:
<code>ask /v1/schedules/&lt;id&gt;:trigger -d &#39;{}&#39;</code>. A backfill does not send lost runs again.</p>
</li>
<li><p>Tasks that were sent while the monitor heard nothing either are not listed. Ask whoever sends what is missing.</p>
</li>
<li><p>For the future: <code>appendonly yes</code> on the broker (under <code>make up</code> it is set), so that a restart loses a second at most.</p>
</li>
</ol>
<p><strong>If it is a false alarm.</strong> A broker that was emptied on purpose, as on a test system, raises it: silence it beforehand.
The rule has no better threshold than 0; pause it where the broker keeps nothing by design:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/tasks-lost?update_mask=paused&#39; -X PATCH -d &#39;{&quot;paused&quot;: true}&#39;
</code></pre>
`,"runs-unheard":`<p><strong>What it means.</strong> <code>runs_unheard</code> has been above 0 for a minute: schedules sent runs that were due more than five minutes
ago, and no worker was heard to receive them. Either the work does not happen, or it happens and nobody tells.</p>
<p><strong>How to look.</strong> The component <code>tasks</code> names the oldest run and its queue:</p>
<pre><code class="language-sh">ask /v1/system/status
SCHEDULE=cleanup-cache-daily     # the schedule of that run
ask /v1/schedules/$SCHEDULE:explain
QUEUE=maintenance     # the queue of that run
ask /v1/queues/$QUEUE
ask &#39;/v1/workers?states=WORKER_STATE_ONLINE&#39;
</code></pre>
<p><code>explain</code> says in <code>next_step</code> what is wrong: nobody consumes the queue, it is paused, or its workers are behind. If the queue
is empty and has consumers, workers took the message and told nothing: <code>task_events</code> is <code>TASK_EVENTS_OFF</code> for them, or
events are late or missed.</p>
<p><strong>What to do.</strong></p>
<ol>
<li>No consumer, or paused: queue-without-consumer. Too many messages before it:
queue-long.</li>
<li>Workers send no events: start them with <code>-E</code>, or set <code>worker_send_task_events = True</code>. Celeriac tells them to, but leaves
alone those that somebody told to be silent; <code>celery -A &lt;app&gt; control enable_events</code> undoes that.</li>
<li>The message is gone and no worker has it: trigger the schedule again, <code>ask /v1/schedules/&lt;id&gt;:trigger -d &#39;{}&#39;</code>. If a
worker did run it unheard, it runs twice.</li>
<li>Nobody needs these runs any more: revoke their tasks (<code>task</code> of the run), so that they are dropped when a worker comes to
them: <code>ask /v1/tasks/&lt;id&gt;:revoke -d &#39;{}&#39;</code>.</li>
</ol>
<p><strong>If it is a false alarm.</strong> Where a queue is always minutes long, runs wait that long. Give the rule a threshold, or let it
hold longer than the queue:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/runs-unheard?update_mask=hold_duration&#39; \\
  -X PATCH -d &#39;{&quot;hold_duration&quot;: &quot;1800s&quot;}&#39;
</code></pre>
`,"etas-passed":`<p><strong>What it means.</strong> <code>etas_long_past</code> has been above 0 for a minute: tasks with a time (<code>eta</code> or <code>countdown</code>) have not begun
five minutes after it. Reminders, retries and delayed mails are late. Tasks that have expired don&#39;t count, nor those more
than a day late.</p>
<p><strong>How to look.</strong> The component <code>tasks</code> names the oldest; then look at the worker that holds it:</p>
<pre><code class="language-sh">ask /v1/system/status
ask &#39;/v1/tasks?states=TASK_STATE_RECEIVED&amp;page_size=20&#39;
WORKER=worker-maintenance@celeriac     # the worker of such a task
ask /v1/workers/$WORKER:inspect
</code></pre>
<p>A worker takes a task with a time early, and keeps it in its memory until then (<code>scheduled_tasks</code>). Good: none of those is in
the past. Bad: <code>active_count</code> equals <code>concurrency</code>, and tasks whose time has come wait behind them; or the worker is <code>SILENT</code> or
<code>GONE</code>, and its tasks wait for the broker.</p>
<p><strong>What to do.</strong></p>
<ol>
<li><p>The worker is busy: runtime-long; or give it more processes, until it is restarted.</p>
<pre><code class="language-console">ask /v1/workers:growPool -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;], &quot;count&quot;: 2}&#39;
</code></pre>
</li>
<li><p>The worker is gone: the broker delivers its tasks again after the <code>visibility_timeout</code> of the application (Celery&#39;s
default is an hour). Wait, or start what is urgent again: retry needs an ended task, so send it by its sender or
<code>POST /v1/tasks:run</code>; then revoke the old one, or it runs twice.</p>
</li>
<li><p>The clock of the worker is wrong: worker-clock-wrong.</p>
</li>
<li><p>The worker hangs: stop it warm (<code>POST /v1/workers:shutdown</code>, super_admin). What it holds goes back to its queue.</p>
</li>
<li><p>Nobody needs them: <code>ask /v1/tasks/&lt;id&gt;:revoke -d &#39;{}&#39;</code>.</p>
</li>
</ol>
<p><strong>If it is a false alarm.</strong> Workers that are kept busy on purpose, so that times are wishes: let the rule hold longer.</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/etas-passed?update_mask=threshold,hold_duration&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 50, &quot;hold_duration&quot;: &quot;1800s&quot;}&#39;
</code></pre>
`,"gaps-open":`<p><strong>What it means.</strong> <code>gaps_open</code> has been above 0 for ten minutes: events were missed, and what became of their tasks is not
found out yet. A repair takes seconds as a rule. Tasks run as ever; some are shown in an old state, and counters may be
short. Users feel nothing.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask &#39;/v1/eventGaps?states=EVENT_GAP_STATE_OPEN&#39;
ask &#39;/v1/workers?states=WORKER_STATE_SILENT&#39;
ask /v1/system/status
</code></pre>
<p>Good: no gap. Bad: a gap whose <code>note</code> says what the repair waits for; <code>undecided_count</code> is how many tasks are unknown, and
<code>cause</code> why events were missed (monitor.md).</p>
<p><strong>What to do.</strong></p>
<ol>
<li><p>It waits for a worker that does not answer: look whether it lives. It is waited for until it is <code>GONE</code>: a minute with
heartbeats, up to an hour for a <code>solo</code> worker. If you know that it is dead, forget it:</p>
<pre><code class="language-console">ask &#39;/v1/workers/celery@host~4711&#39; -X DELETE
</code></pre>
</li>
<li><p>It waits for the result backend: is that server there, and is <code>CELERIAC_RESULT_URL</code> of the monitor right?</p>
</li>
<li><p>It waits for the broker, or more than 200,000 messages wait: see queue-long first.</p>
</li>
<li><p>New gaps come again and again: <code>RELAY_CUT</code>, the relay restarts or loses the broker (<code>make logs NAME=relay FOLLOW=0</code>);
<code>STREAM_FULL</code>, the monitor was away too long or is too slow: raise <code>CELERIAC_RELAY_BYTES</code>; <code>MONITOR_STOPPED</code>, there is no
relay: run one.</p>
</li>
<li><p><code>task_events</code> of workers is off: see runs-unheard.</p>
</li>
</ol>
<p><strong>If it is a false alarm.</strong> Workers of the pool <code>solo</code> with tasks of an hour can&#39;t answer meanwhile. Let the rule hold longer
than such a task:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/gaps-open?update_mask=hold_duration&#39; \\
  -X PATCH -d &#39;{&quot;hold_duration&quot;: &quot;5400s&quot;}&#39;
</code></pre>
`,"events-late":`<p><strong>What it means.</strong> <code>event_lag_seconds</code> has been above 10 for a minute: from the moment in which a worker made the newest event
until the monitor took it in. Tasks run as ever; what is shown of them, and what alerts are about, is that far behind. It
ends at 5.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask /v1/metrics/realtime
ask /v1/system/metrics
ask &#39;/v1/workers?states=WORKER_STATE_ONLINE&#39;
curl --silent http://127.0.0.1:8453/metrics | grep celeriac_relay
curl --silent http://127.0.0.1:8451/metrics | grep -E &#39;event_lag|tasks_waiting|monitor_writes&#39;
</code></pre>
<p>Good: <code>event_lag</code> below a second. Bad: it grows (the monitor or the relay is too slow, or the machine is busy), or it stays
the same and <code>clock_skew</code> of a worker is as large: then only its clock is wrong. <code>celeriac_relay_buffered_bytes</code> above 0: the
relay can&#39;t write its stream. <code>celeriac_monitor_tasks_waiting</code> that grows: the database is slow.</p>
<p><strong>What to do.</strong></p>
<ol>
<li>A clock is wrong: worker-clock-wrong.</li>
<li>It follows an outage, and <code>event_lag</code> falls: the monitor catches up. Wait.</li>
<li>The machine is busy (<code>cpu_percent</code> near 100): find out by what (<code>top</code>), and move it away or give the monitor more CPU.</li>
<li>The database is slow: long transactions and locks in <code>pg_stat_activity</code>, a full disk.</li>
<li>The relay: <code>make logs NAME=relay FOLLOW=0</code>; is the server of its stream there, with memory left?</li>
<li>Restart the monitor. With a relay nothing is missed; without one the time of the restart is a gap.</li>
</ol>
<p><strong>If it is a false alarm.</strong> Bursts of hundreds of thousands of events may take longer than ten seconds to be taken in:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/events-late?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 60, &quot;clear_threshold&quot;: 30}&#39;
</code></pre>
`,"worker-clock-wrong":`<p><strong>What it means.</strong> <code>worker_skew_seconds</code> of the worker in <code>subject</code> has been above 15 for five minutes: its clock differs
from the monitor&#39;s, in either direction. Its tasks begin too early or too late (<code>eta</code>), expire wrongly, and are shown with
wrong times and in a wrong order. It ends at 10.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask &#39;/v1/workers?states=WORKER_STATE_ONLINE&#39;
date -u
</code></pre>
<p>On the worker&#39;s machine:</p>
<pre><code class="language-console">date -u
timedatectl
chronyc tracking
</code></pre>
<p>Good: <code>clock_skew</code> below 2 s for all. Bad: one worker has a large one: its machine&#39;s clock is wrong. All have about the
same: the monitor&#39;s own is. <code>timedatectl</code> says <code>System clock synchronized: no</code>.</p>
<p><strong>What to do.</strong></p>
<ol>
<li>Switch NTP on, on the machine whose clock is wrong (of containers: on their host): <code>timedatectl set-ntp true</code>. It costs
nothing; a clock that is slightly wrong is corrected slowly.</li>
<li>Far off: step it, <code>chronyc makestep</code>. Not on the database&#39;s machine: schedules go by its clock, and due times that it
jumps over count as missed. There, let NTP correct it slowly.</li>
<li>A machine that was suspended or moved: restart the worker afterwards (warm), so that its timers are right.</li>
<li>After it is right, the alert ends within two minutes. Times that were stored stay as they are.</li>
</ol>
<p><strong>If it is a false alarm.</strong> A worker that is cut off for seconds now and then may look skewed: the measure is the smallest
difference of one to two minutes. If your machines can&#39;t do better:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/worker-clock-wrong?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 60, &quot;clear_threshold&quot;: 30}&#39;
</code></pre>
`,"broker-may-drop-tasks":`<p><strong>What it means.</strong> <code>broker_can_drop_tasks</code> has been 1 for a minute: the broker has a memory limit (<code>maxmemory</code>) and an
eviction policy other than <code>noeviction</code>. When its memory is full it drops keys, and a queue is a key: all messages of a
queue may be gone at once, without an error. Nothing is lost yet when the alert fires.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask /v1/system/status
</code></pre>
<pre><code class="language-console">redis-cli config get &#39;maxmemory*&#39;
redis-cli info memory | grep -E &#39;used_memory_human|maxmemory_human&#39;
redis-cli info stats | grep evicted_keys
</code></pre>
<p>Good: <code>noeviction</code>, and memory far from its limit. Bad: <code>allkeys-lru</code> or the like. <code>evicted_keys</code> above 0: keys were dropped
already; then look for lost tasks and for schedules that were not heard (runs-unheard).</p>
<p><strong>What to do.</strong></p>
<ol>
<li><p>Set it. From then on a full broker refuses new messages with an error that senders see, instead of dropping old ones.</p>
<pre><code class="language-console">redis-cli config set maxmemory-policy noeviction
redis-cli config rewrite
</code></pre>
</li>
<li><p><code>CONFIG</code> is forbidden, as with managed servers: set <code>maxmemory-policy</code> in their parameter group or console.</p>
</li>
<li><p>The memory is nearly full: give it more (<code>redis-cli config set maxmemory 4gb</code>), or find what fills it:
<code>redis-cli --bigkeys</code>. A long queue: queue-long. Results without expiry: set <code>result_expires</code>.</p>
</li>
<li><p>The server is a cache of the application as well, and needs its policy: give the broker a server of its own.
Another database number on the same server does not help, since the policy is the server&#39;s.</p>
</li>
</ol>
<p>Under <code>make up</code>, Valkey runs with <code>noeviction</code>, and this fires only if somebody changed it or the broker is your own.</p>
<p><strong>If it is a false alarm.</strong> There is no safe policy but <code>noeviction</code> for a broker: with <code>volatile-*</code>, Celery&#39;s messages stay, but
markers with an expiry, by which each run is sent once, may go. If you accept that:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/broker-may-drop-tasks?update_mask=paused&#39; \\
  -X PATCH -d &#39;{&quot;paused&quot;: true}&#39;
</code></pre>
`,"audit-delayed":`<p><strong>What it means.</strong> <code>outbox_oldest_seconds</code> of the service in <code>subject</code> has been above 300: entries for the audit log wait in
its outbox, because the audit service does not take them. None is lost while the database has room, and users feel
nothing. What was done in this time is not in the audit log yet. It ends below 60.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask /v1/audit/status
ask /v1/system/status
</code></pre>
<pre><code class="language-console">make logs NAME=audit FOLLOW=0
psql &quot;$DATABASE_URL&quot; -c &#39;SELECT count(*) FROM audit_outbox_scheduler&#39;
</code></pre>
<p>Good: <code>&quot;accepting&quot;: true</code>, and the component <code>audit</code> is healthy. Bad: <code>&quot;accepting&quot;: false</code> with <code>faults</code>: the log is stopped,
since what is stored is not what was signed. Component unhealthy: the service is away. Audit is well, and one service only is
late: the way from that service to audit is cut (address, certificate).</p>
<p><strong>What to do.</strong></p>
<ol>
<li>The log is stopped: <strong>do not restart the audit service</strong>; the running process knows what a new one can&#39;t. Follow
audit.md in its order. This may be an attack: tell whoever is responsible for security.</li>
<li>The audit service is down: start it; <code>last exit</code> and the end of its log say why it ended. Waiting entries go in within
half a minute.</li>
<li>The disk of the database is full: disk-full.</li>
<li>One service only: is <code>CELERIAC_AUDIT_ADDRESS</code> of it right, and its certificate valid
(certificate-expires)? Its log says why under <code>audit_outbox</code>.</li>
</ol>
<p><strong>If it is a false alarm.</strong> Of a planned outage of the audit service longer than five minutes: set a silence. Else raise the
threshold:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/audit-delayed?update_mask=threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 1800}&#39;
</code></pre>
`,"loop-failing":`<p><strong>What it means.</strong> <code>loop_failing_seconds</code> has been above 120. The <code>subject</code> is service and loop, as <code>scheduler/dispatch</code>: work
that this service does in the background has failed each time, or does not come back. Calls are answered as ever.
prometheus.md says what each loop does; what users feel follows from that.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask /v1/system/status
# ports: 8449 scheduler, 8450 embedder, 8451 monitor, 8452 audit
curl --silent http://127.0.0.1:8449/metrics | grep celeriac_loop
curl --silent http://127.0.0.1:8449/readyz
</code></pre>
<pre><code class="language-console">make logs NAME=scheduler FOLLOW=0
</code></pre>
<p>Good: <code>celeriac_loop_last_success_seconds</code> is about now, and <code>celeriac_loop_failures_total</code> stands still. Bad: the counter rises
(it fails; the log has a line with the exception), or the last success stands still and the counter too (it hangs).</p>
<p><strong>What to do.</strong></p>
<ol>
<li>The exception names the database, the broker or another service: mend that (component-unwell). Loops
go on by themselves.</li>
<li><code>outcomes</code>, <code>losses</code> and <code>gap_repair</code> wait for others: the monitor, workers, the result backend.
<code>audit_outbox</code>: audit-delayed. <code>config</code>: the scheduler is away, and the settings that were known last
hold on.</li>
<li>It hangs: <code>kill -USR1 PID</code> writes where, into the log. Keep that. Then restart the service: nothing is lost.</li>
<li>An exception that names none of these is a fault of Celeriac: keep log and stack, restart, and report it. If it fails on a
single schedule: scheduler-late.</li>
</ol>
<p><strong>If it is a false alarm.</strong> A database that is away for some minutes each night at its backup: let the rule hold longer, or
leave a loop out:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/loop-failing?update_mask=excluded_subject_patterns&#39; \\
  -X PATCH -d &#39;{&quot;excluded_subject_patterns&quot;: [&quot;monitor/gap_repair&quot;]}&#39;
</code></pre>
`,"disk-full":`<p><strong>What it means.</strong> <code>disk_used_percent</code> of the disk in <code>subject</code> (where it is mounted) has been above 90 for two minutes. Only
the machine of the monitor is measured. A full disk stops the database: what would change something is refused with
<code>RESOURCE_EXHAUSTED</code>, schedules don&#39;t run, and the broker can&#39;t write its file. It ends below 88.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask /v1/system/metrics
ask /v1/system/status
df -h
du -sh .celeriac/postgres .celeriac/valkey .celeriac/logs
</code></pre>
<p>Good: <code>free_bytes</code> of each disk is more than a tenth. Bad: it falls from minute to minute. The component <code>database</code> with <code>its disk is full</code>: it has happened already, and on the database&#39;s machine, wherever that is.</p>
<p><strong>What to do.</strong></p>
<ol>
<li><p>Remove what is not Celeriac&#39;s: old packages, dumps, core files, container images. Never files below <code>postgres/</code> or
<code>valkey/</code>.</p>
</li>
<li><p>Logs: under <code>make up</code> they are bounded (10 MB, two older ones kept, for each component). Elsewhere: <code>journalctl --vacuum-size=1G</code>.</p>
</li>
<li><p>Celeriac&#39;s tasks take the space: keep them for a shorter time. Older ones are gone for good; it frees space within a
minute or so, as their tables are dropped whole.</p>
<pre><code class="language-console">ask /v1/configs/monitor.tasks.retention:set \\
  -d &#39;{&quot;value&quot;: {&quot;duration_value&quot;: &quot;604800s&quot;}, &quot;comment&quot;: &quot;the disk is full&quot;}&#39;
</code></pre>
<p>A bound for the future: \`CELERIAC_MONITOR_TASKS_BYTES\`.
<code>scheduler.runs.retention</code> is the same for runs.</p>
</li>
<li><p>PostgreSQL&#39;s WAL takes it: a replication slot that nobody reads (<code>SELECT slot_name, active FROM pg_replication_slots</code>), or an
archive command that fails. Drop the slot only if its reader is gone for good.</p>
</li>
<li><p>The broker&#39;s file takes it: <code>redis-cli bgrewriteaof</code> writes it anew, and needs room for both meanwhile.</p>
</li>
<li><p>Make the disk larger.</p>
</li>
</ol>
<p><strong>If it is a false alarm.</strong> On a large disk a tenth is much: raise the threshold, or leave out a disk that is full by design:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/disk-full?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 95, &quot;clear_threshold&quot;: 94}&#39;
ask &#39;/v1/alertRules/disk-full?update_mask=excluded_subject_patterns&#39; \\
  -X PATCH -d &#39;{&quot;excluded_subject_patterns&quot;: [&quot;/snap/*&quot;]}&#39;
</code></pre>
`,"certificate-expires":`<p><strong>What it means.</strong> <code>certificate_left_seconds</code> of <code>subject</code> is below 14 days. A service: after its end other services and the
gateway refuse it, which is an outage of that service. <code>gateway</code>: the certificate that Envoy serves now; after its end every
client refuses it. Another name (<code>worker</code>, <code>tasks</code>, <code>ca</code>) is a file of <code>CELERIAC_MONITOR_CERTIFICATES</code>. Until then users feel
nothing. Outside <code>make up</code> the last two are measured only where the monitor is told of them.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">for name in scheduler embedder monitor audit door gateway worker; do
  echo &quot;$name $(openssl x509 -enddate -noout -in .celeriac/certs/$name.crt)&quot;
done
openssl x509 -enddate -noout -in .celeriac/ca.pem
</code></pre>
<p>Elsewhere, the files that <code>CELERIAC_TLS_CERT</code> and <code>CELERIAC_TLS_CA</code> name. Good: more than a month for all. Bad: some days.</p>
<p><strong>What to do.</strong></p>
<ol>
<li>Under <code>make up</code>: certificates last a year and are made anew a month before they end, at a start. So the system has run for
most of a year: <code>make down</code>, then <code>make up</code>. All certificates and the authority are new, therefore give clients the new
<code>.celeriac/ca.pem</code>, and have browsers trust it. It costs the seconds of a
restart.</li>
<li>Elsewhere: issue a new certificate with the same DNS name, <code>&lt;service&gt;.celeriac.internal</code>
(operating.md), and replace the files (write beside, then rename; key and certificate). Services
take it over within seconds, without a restart.</li>
<li>The gateway reads its files at its start: after new ones, start Envoy again, one replica after another. The alert ends
within five minutes.</li>
<li>Your authority itself expires: services must trust the old and the new one meanwhile. Put both into the <code>ca.pem</code> of all,
then replace the certificates, then take the old one out.</li>
<li>cert-manager or the like should have renewed it: find out why not, or it comes again.</li>
</ol>
<p><strong>If it is a false alarm.</strong> Certificates that live for days only are always below 14 days. Set the threshold to a part of their
life (seconds; this is 12 hours):</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/certificate-expires?update_mask=threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 43200}&#39;
</code></pre>
`,"sign-ins-refused":`<p><strong>What it means.</strong> <code>sign_ins_refused</code> of the service in <code>subject</code> has been 20 or more: within five minutes it refused so many
callers that did not prove who they are. At a service: a revoked token, or one that the gateway takes and the service does
not (another key set, another clock). At the <code>door</code>: a request without a sign-in, a wrong code, a spent link. At the
<code>gateway</code>: a token that is missing, expired or forged (outside <code>make up</code> only where <code>CELERIAC_MONITOR_GATEWAY_ADMIN</code> is set).
It is a program with an old token, or somebody who tries. It ends below 5.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-console">make logs NAME=door SINCE=10m FOLLOW=0 | grep -E &#39;&quot;status&quot;: ?(401|403|410)&#39; | tail -20
make logs NAME=gateway SINCE=10m FOLLOW=0 | grep -E &#39;&quot;status&quot;: ?(401|403)|UNAUTHENTICATED&#39; | tail -20
</code></pre>
<pre><code class="language-sh">ask &#39;/v1/auditRecords?page_size=20&#39;
</code></pre>
<p>Good: a few lines, of people who were idle for twelve hours. Bad: many lines with one <code>address</code> or one <code>actor</code>.
<code>Jwt_is_expired</code>: a program does not renew its token. Refused codes and links for one person after another: somebody guesses.</p>
<p><strong>What to do.</strong></p>
<ol>
<li><p>One program, with an expired or revoked token: tell its owner; give it a new token. It costs nothing to wait.</p>
</li>
<li><p>All tokens at once since a change: <code>jwks.json</code> or <code>CELERIAC_TOKEN_ISSUER</code> is wrong, or a clock: put it right. Key sets are
read again within five seconds.</p>
</li>
<li><p>Somebody guesses codes: the door takes none for a minute after five wrong ones, then for longer. Find the address in the
gateway&#39;s log, and close it out at the firewall; <code>CELERIAC_GATEWAY_ALLOW</code> lets only named networks in, after the gateway is
started anew.</p>
</li>
<li><p>A token or a person is in wrong hands: revoke it. Needs super_admin; all tokens of this subject are refused within a second.</p>
<pre><code class="language-console">TOKEN=$(make --silent token ROLE=super_admin)
ask /v1/access:revoke -d &#39;{&quot;subject&quot;: &quot;mei&quot;, &quot;reason&quot;: &quot;lost laptop&quot;}&#39;
</code></pre>
</li>
</ol>
<p><strong>If it is a false alarm.</strong> A scanner that tries the door&#39;s paths counts, and so does a program that polls them without a
sign-in. Close it out, or raise the threshold:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/sign-ins-refused?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 200, &quot;clear_threshold&quot;: 100}&#39;
</code></pre>
`,"alerts-undelivered":`<p><strong>What it means.</strong> <code>alerts_undelivered</code> has been above 0 for five minutes: messages about alerts wait because a channel did
not take them, or were given up in the last day (after 24 hours, or because the channel is not in the file any more).
Somebody who should know of an alert does not. The other channels tell of it.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask &#39;/v1/alerts?undelivered_only=true&#39;
ask /v1/alertChannels
</code></pre>
<p><code>ask /v1/alerts/17</code> tells each attempt. Good: no alert; <code>error</code> of each channel is empty, and <code>waiting_count</code> 0. Bad: <code>error</code> says why: a password, an address that is
unknown, no answer within 20 seconds. The call to <code>alertChannels</code> fails with <code>ALERT_CHANNELS_UNREADABLE</code>: the file has a fault,
which the message names; the channels that were read before it are used.</p>
<p><strong>What to do.</strong></p>
<ol>
<li>First read the alerts that fire, and look after them: <code>ask &#39;/v1/alerts?states=ALERT_STATE_FIRING&#39;</code>. Tell by hand those who were
not told.</li>
<li>Mend the channel: correct its <code>url</code> in the file of <code>CELERIAC_MONITOR_ALERT_CHANNELS</code> (under <code>make up</code>
<code>.celeriac/alert-channels.toml</code>). It is read again at once, and what waits is sent at the next attempt.</li>
<li>Try it: <code>ask /v1/alertChannels/&lt;name&gt;:test -d &#39;{}&#39;</code> answers <code>&quot;delivered&quot;: true</code>, or why not.</li>
<li>The service itself is down, or the monitor&#39;s machine can&#39;t reach it (firewall, proxy): <code>curl -v</code> to its host from there.
Messages are tried again for 24 hours.</li>
<li>A channel that you took out of the file on purpose: nothing to do; the alert ends a day after its last message.</li>
</ol>
<p><strong>If it is a false alarm.</strong> A channel that is often away for some minutes:</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/alerts-undelivered?update_mask=hold_duration&#39; \\
  -X PATCH -d &#39;{&quot;hold_duration&quot;: &quot;3600s&quot;}&#39;
</code></pre>
`,"events-not-heard":`<p><strong>What it means.</strong> <code>celery_event_stream_up</code> has been 0 at all monitors for a minute: the subscription to the broker&#39;s events is
not open. Tasks run as ever; what is shown of them stands still. It becomes a gap, which is repaired
afterwards.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask /v1/system/status
curl --silent http://127.0.0.1:8453/metrics | grep celeriac_relay_up
curl --silent http://127.0.0.1:8451/metrics | grep celery_event_stream_up
</code></pre>
<p>Good: both are 1. Bad: the component <code>events</code> says <code>cut off from the broker&#39;s events</code>. If <code>celeriac_relay_up</code> is 0, the relay does
not hear the broker; if it is 1, the monitor can&#39;t read the relay&#39;s stream.</p>
<p><strong>What to do.</strong></p>
<ol>
<li>Is the broker there? If not: component-unwell. The relay and the monitor come back by themselves.</li>
<li><code>make logs NAME=relay FOLLOW=0</code>: a refused password, or a user without the right to subscribe (<code>+@pubsub</code>,
your-own-servers.md).</li>
<li>The server of the relay&#39;s stream (<code>CELERIAC_RELAY_URL</code>): is it there, and has it memory?</li>
<li>Restart the relay, then the monitor. What is published while the relay is away is a gap.</li>
</ol>
<p><strong>If it is a false alarm.</strong> Without workers and tasks it does not fire. For planned work on the broker: a silence in
Alertmanager. Else a longer <code>for:</code> of the rule.</p>
`,"scheduler-slow":`<p><strong>What it means.</strong> One call of the scheduler in twenty has taken more than five seconds in the last five minutes. Pages and
programs that change schedules wait or give up (a call has 15 seconds). Runs may be late: scheduler-late.</p>
<p><strong>How to look.</strong> Which methods are slow, and whether the machine or the database is:</p>
<pre><code class="language-sh">curl --silent http://127.0.0.1:8449/metrics | grep celeriac_rpc_duration_seconds_sum
curl --silent http://127.0.0.1:8449/readyz
ask /v1/system/status
ask /v1/system/metrics
</code></pre>
<pre><code class="language-console">psql &quot;$DATABASE_URL&quot; -c &quot;SELECT pid, now() - xact_start AS since, state, left(query, 80)
  FROM pg_stat_activity WHERE xact_start IS NOT NULL ORDER BY 2 DESC LIMIT 10&quot;
</code></pre>
<p>Good: the component <code>database</code> has a <code>latency</code> of milliseconds. Bad: it is near its 2 seconds; a transaction is minutes old; or
<code>cpu_percent</code> is near 100.</p>
<p><strong>What to do.</strong></p>
<ol>
<li>A long transaction holds locks: find its owner, and end it (<code>SELECT pg_terminate_backend(pid)</code>). What it did is undone.</li>
<li>The machine is busy, or the disk is slow or full (disk-full): mend that.</li>
<li>One caller asks for too much, such as large exports again and again: <code>actor</code> in <code>make logs NAME=gateway FOLLOW=0</code> tells who.</li>
<li>Start another replica of the scheduler (scheduling.md), if its CPU is what lacks.</li>
</ol>
<p><strong>If it is a false alarm.</strong> Large imports and exports take their time: raise the threshold of the rule.</p>
`,"schedules-left-out":`<p><strong>What it means.</strong> <code>celeriac_scheduler_schedules_left_out</code> is above 0: the scheduler&#39;s own code fails on some schedules. They
don&#39;t run for the moment; each is tried again once a minute. All others go on.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">curl --silent http://127.0.0.1:8449/metrics | grep -E &#39;schedules_left_out|own_faults&#39;
ask &#39;/v1/schedules?order_by=next_run_time&amp;page_size=3&#39;
</code></pre>
<pre><code class="language-console">make logs NAME=scheduler FOLLOW=0 | grep left_out
</code></pre>
<p>Good: 0. Bad: the log names the schedule, the exception and its place in the code.</p>
<p><strong>What to do.</strong></p>
<ol>
<li>Keep the log line, and report it: this is a fault of Celeriac.</li>
<li>If its work can&#39;t wait, run its task by hand (<code>POST /v1/tasks:run</code>), or create the schedule anew under another name.</li>
<li>Pause the schedule, so that it does not alert again: <code>ask /v1/schedules/&lt;id&gt;:pause -d &#39;{}&#39;</code>.</li>
<li>A version with the fault mended sends it, late, as its misfire policy says.</li>
</ol>
<p><strong>If it is a false alarm.</strong> It is none; once the schedule is paused, the alert ends.</p>
`,"target-down":`<p><strong>What it means.</strong> Prometheus could not read the metrics of a process of Celeriac for a minute. Either the process is gone, or
its metrics port can&#39;t be reached.</p>
<p><strong>How to look.</strong> The labels <code>job</code> and <code>instance</code> say which one:</p>
<pre><code class="language-sh">make status
curl --silent http://127.0.0.1:8451/livez
curl --silent http://127.0.0.1:8451/readyz
</code></pre>
<p>Good: <code>/livez</code> answers 200, and each line of <code>/readyz</code> is <code>ok</code>. Bad: no answer (the process is gone or hangs), or a line that names
what fails (operating.md).</p>
<p><strong>What to do.</strong></p>
<ol>
<li>It answers from its own machine: the way from Prometheus to it is cut (firewall, <code>CELERIAC_LISTEN</code>,
<code>CELERIAC_METRICS_PORT</code>, a target that is gone).</li>
<li>It does not run: component-unwell, step 1. If it is the monitor, Celeriac&#39;s own alerts are silent until
it is back.</li>
<li>It runs and does not answer: <code>kill -USR1 PID</code>, keep its log, restart it.</li>
</ol>
<p><strong>If it is a false alarm.</strong> A replica that was taken away for good: take it out of Prometheus&#39;s targets.</p>
`,"audit-log-stopped":`<p><strong>What it means.</strong> What is stored of the audit log is not what was signed, so it takes no entries. Calls go on, and their
entries wait in the database; none is lost while there is room. Somebody may have changed the log.</p>
<p><strong>How to look.</strong></p>
<pre><code class="language-sh">ask /v1/audit/status
curl --silent http://127.0.0.1:8452/metrics | grep audit_log_stopped
</code></pre>
<p>Good: <code>&quot;accepting&quot;: true</code>. Bad: <code>faults</code> says what is wrong. Write it down.</p>
<p><strong>What to do.</strong></p>
<ol>
<li><strong>Do not restart the audit service</strong>: the running process knows the newest checkpoint, a new one does not.</li>
<li>Tell whoever is responsible for security.</li>
<li>Follow audit.md in its order: keep the evidence, verify, put it right.</li>
</ol>
<p><strong>If it is a false alarm.</strong> A database that was restored from a backup looks the same; audit.md
says what to do then, too. Never silence it for longer than that takes.</p>
`};export{e as default};