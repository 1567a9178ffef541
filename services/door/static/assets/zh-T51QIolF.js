var e={"success-low":`<p><strong>這代表什麼。</strong> <code>success_percent</code> 低於 95 已持續兩分鐘：最近五分鐘結束的任務裡，每二十個有超過一個是 <code>FAILURE</code>。重試與撤銷的任務不計。使用者拿不到這些任務該產出的結果。回到 97 時結束。</p>
<p><strong>怎麼看。</strong> 哪些任務失敗、失敗在程式的哪一行、從什麼時候開始；然後看最新的失敗：</p>
<pre><code class="language-sh">ask /v1/tasks:groupFailures
ask &#39;/v1/tasks?states=TASK_STATE_FAILURE&amp;page_size=5&#39;
ask /v1/metrics/realtime
</code></pre>
<p>正常：沒有任何群組，或都是舊的。異常：有一大群，而且最後一次就在剛才；群組的位置是你們程式的那一行，訊息就是原因。對群組裡最新的任務執行 <code>ask /v1/tasks/&lt;id&gt;</code>，可以看到 traceback 和每一次嘗試。從即時數字裡每個任務名稱的 <code>failed</code> 可以看出是一種任務失敗，還是全部都失敗：全部失敗，表示大家共用的伺服器出了問題。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>修好例外訊息指出的原因：資料庫、API、密碼、磁碟滿了。這一步在這裡沒有代價；失敗的任務會一直列著。</p>
</li>
<li><p>新版本造成的：退回前一版。</p>
</li>
<li><p>修好之前，先停掉會失敗的任務：暫停它的佇列，任務會等候而不是失敗。同一佇列的其他任務也會一起等。</p>
<pre><code class="language-console">ask /v1/queues/mail:pause -d &#39;{&quot;reason&quot;: &quot;the mail server is away&quot;}&#39;
ask /v1/queues/mail:resume -d &#39;{}&#39;
</code></pre>
</li>
<li><p>原因排除後，重跑失敗的任務。先試算，再把回應裡的 <code>matched_count</code> 送回去。做到一半的任務會重做一次，任務若沒有為此設計（冪等），就會做兩遍。</p>
<pre><code class="language-console">ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_FAILURE&quot;], &quot;task_names&quot;: [&quot;shop.mail&quot;]},
    &quot;validate_only&quot;: true}&#39;
ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_FAILURE&quot;], &quot;task_names&quot;: [&quot;shop.mail&quot;]},
    &quot;expected_count&quot;: 12}&#39;
</code></pre>
</li>
</ol>
<p><strong>如果是誤報。</strong> 任務很少時，一個失敗就夠了：十個裡的一個就是 10 %。可以把持續時間拉長，或調低門檻：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/success-low?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 80, &quot;clear_threshold&quot;: 90}&#39;
</code></pre>
<p>如果某一種任務失敗是常態，就用 <code>task_success_percent</code>（以任務名稱分別量測）自訂一條規則，把那種任務放進 <code>excluded_subject_patterns</code>，再暫停這一條。</p>
`,"runtime-long":`<p><strong>這代表什麼。</strong> <code>mean_runtime_seconds</code> 在 30 以上已持續兩分鐘：最近五分鐘結束的所有嘗試的平均執行時間，失敗的也算。使用者等得更久，接著佇列就會變長。低於 25 時結束。</p>
<p><strong>怎麼看。</strong> 哪個任務慢、現在跑著什麼、機器忙不忙：</p>
<pre><code class="language-sh">ask /v1/metrics/realtime
ask &#39;/v1/tasks?states=TASK_STATE_STARTED&amp;page_size=20&#39;
ask /v1/system/metrics
WORKER=worker-maintenance@celeriac     # 慢任務所在的 worker
ask /v1/workers/$WORKER:inspect
</code></pre>
<p>正常：每個任務的 <code>p50_runtime</code> 和平常一樣。異常：只有一個任務的 <code>p99_runtime</code> 很大（問題在那個任務，或它呼叫的東西）；全部都大（大家共用的資料庫或 API，或 <code>cpu_percent</code> 接近 100）。worker 的 <code>active_tasks</code> 裡，<code>started_time</code> 看得出誰卡住了。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>看慢的任務在等什麼：它的資料庫裡的鎖和慢查詢、沒有設逾時的 API。</p>
</li>
<li><p>機器太忙：把工作移到別處，或減少行程數。增加行程只會更慢。</p>
<pre><code class="language-console">ask /v1/workers:shrinkPool -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;], &quot;count&quot;: 1}&#39;
</code></pre>
</li>
<li><p>某個任務拖垮其他任務：限制它的速率。超出的會留在 worker 手上等，直到 worker 重啟或另行設定。</p>
<pre><code class="language-console">ask /v1/workers:limitTaskRate \\
  -d &#39;{&quot;all&quot;: true, &quot;task_name&quot;: &quot;shop.report&quot;, &quot;rate_limit&quot;: &quot;10/m&quot;}&#39;
</code></pre>
</li>
<li><p>單一任務卡死：終止它。它做到一半的事就停在一半。</p>
<pre><code class="language-console">ask /v1/tasks/&lt;id&gt;:revoke -d &#39;{&quot;terminate&quot;: true}&#39;
</code></pre>
</li>
<li><p>長期做法：替任務設 <code>time_limit</code>，寫在 decorator 或排程裡。</p>
</li>
</ol>
<p><strong>如果是誤報。</strong> 本來就很久的工作（例如夜間報表），在其他任務很少時會把平均拉高。調高門檻；或用 <code>task_mean_runtime_seconds</code> 自訂規則、排除那些任務，再暫停這一條：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/runtime-long?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 120, &quot;clear_threshold&quot;: 100}&#39;
</code></pre>
`,"queue-long":`<p><strong>這代表什麼。</strong> <code>subject</code> 這個佇列的 <code>queue_length</code> 在 10 以上已持續五分鐘：訊息來得比 worker 取走的快。使用者要等這些任務做完。低於 8 時結束。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">QUEUE=maintenance     # 告警的 subject
ask /v1/queues/$QUEUE
ask &quot;/v1/queues/$QUEUE:peek?count=10&quot;
ask &#39;/v1/tasks?states=TASK_STATE_STARTED&amp;page_size=20&#39;
</code></pre>
<table>
<thead>
<tr>
<th>佇列顯示</th>
<th>表示</th>
</tr>
</thead>
<tbody><tr>
<td><code>pause</code></td>
<td>有人暫停了它，裡面寫了原因：見步驟 1</td>
</tr>
<tr>
<td><code>consumer_count</code> 是 0</td>
<td>queue-without-consumer</td>
</tr>
<tr>
<td><code>deliveries_per_second</code> 接近 0，<code>unacknowledged</code> 不是 0</td>
<td>worker 被很久或卡住的任務占住：runtime-long</td>
</tr>
<tr>
<td><code>arrivals_per_second</code> 大於 <code>deliveries_per_second</code></td>
<td>worker 太少，或任務太多：看 <code>peek</code> 是哪些任務</td>
</tr>
<tr>
<td><code>time_to_empty</code> 是幾分鐘</td>
<td>會自己好：等</td>
</tr>
</tbody></table>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>被暫停，而原因已經排除：<code>ask /v1/queues/$QUEUE:resume -d &#39;{}&#39;</code>。</p>
</li>
<li><p>CPU 和記憶體夠的話，替現有的 worker 增加行程。只維持到 worker 重啟為止。</p>
<pre><code class="language-console">ask /v1/workers:growPool -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;], &quot;count&quot;: 2}&#39;
</code></pre>
</li>
<li><p>增加 worker：用 <code>-Q &lt;佇列&gt;</code> 啟動一個，或讓閒著的 worker 也消費它。那個 worker 必須認得這些任務。</p>
<pre><code class="language-console">ask /v1/workers:addConsumer \\
  -d &#39;{&quot;workers&quot;: [&quot;workers/other@host&quot;], &quot;queue&quot;: &quot;queues/mail&quot;}&#39;
</code></pre>
</li>
<li><p>是排程送太多：<code>ask /v1/schedules/&lt;id&gt;:pause -d &#39;{}&#39;</code>。恢復後，暫停期間的到期時間不會補跑。</p>
</li>
<li><p>已經沒人需要的任務：清掉。<code>expected_length</code> 填你看到的長度。十分鐘內可以用 <code>ask /v1/purges</code> 和 <code>ask /v1/purges/&lt;id&gt;:undo -d &#39;{}&#39;</code> 救回來；之後就沒了。</p>
<pre><code class="language-console">ask /v1/queues/mail:purge -d &#39;{&quot;expected_length&quot;: 120}&#39;
</code></pre>
</li>
</ol>
<p><strong>如果是誤報。</strong> 大量作業用的佇列本來就長。把它們排除，或全部調高門檻：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/queue-long?update_mask=excluded_subject_patterns&#39; \\
  -X PATCH -d &#39;{&quot;excluded_subject_patterns&quot;: [&quot;bulk_*&quot;]}&#39;
</code></pre>
`,"worker-memory-high":`<p><strong>這代表什麼。</strong> <code>subject</code> 這個 worker 的 <code>worker_memory_bytes</code> 超過 512 MiB 已持續五分鐘，主行程與 pool 合計。再長下去，作業系統會殺掉機器上的行程，它的任務就會遺失或重來。只量得到 monitor 同一台機器上的 worker，以名稱 <code>@</code> 後面的主機名稱判斷；所以 <code>make up</code> 自己的 worker（<code>…@celeriac</code>）不在內，它們的記憶體看 <code>make status</code>。降到 480 MiB 時結束。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">WORKER=worker-maintenance@celeriac     # 告警的 subject
ask /v1/workers/$WORKER:inspect
ask /v1/system/metrics
make status
</code></pre>
<p>正常：記憶體維持不變，而且機器的 <code>memory_available_bytes</code> 還很多。異常：每分鐘都在長。<code>processes</code> 看得出 pool 裡哪個行程大，<code>active_tasks</code> 是它在跑的任務，<code>processed</code> 是這個 worker 跑過哪些任務。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>機器還有空間，worker 也沒有繼續長：記下來，早上再看。</p>
</li>
<li><p>把 pool 的行程換新；每個行程會先做完手上的任務。應用程式必須設定過 <code>worker_pool_restarts</code>。</p>
<pre><code class="language-console">ask /v1/workers:restartPool -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;]}&#39;
</code></pre>
</li>
<li><p>溫和地停掉 worker（warm shutdown）：它做完手上的任務才結束，由它的 supervisor（systemd、Kubernetes）重新啟動。不會遺失任務；回來之前，它的佇列少一個 worker。需要 super_admin。</p>
<pre><code class="language-console">ask /v1/workers:shutdown -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;]}&#39;
</code></pre>
</li>
<li><p>它不結束，機器又快撐不住：<code>kill -9</code> 該行程。它的任務會重跑（<code>acks_late</code>），或變成孤兒。</p>
</li>
<li><p>長期做法：啟動 worker 時加 <code>--max-memory-per-child=400000</code>（KiB）或 <code>--max-tasks-per-child=1000</code>，讓 Celery 自動換掉長大的行程。</p>
</li>
</ol>
<p><strong>如果是誤報。</strong> pool 的行程從啟動起就共用的記憶體，會在每個行程都算一次。而且載入模型的 worker 本來就大：調高門檻（單位是位元組，這裡是 2 GiB），或把它排除，<code>worker-analysis@celeriac</code> 已經是這樣：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/worker-memory-high?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 2147483648, &quot;clear_threshold&quot;: 2040109465}&#39;
</code></pre>
`,"scheduler-late":`<p><strong>這代表什麼。</strong> <code>scheduler_late_seconds</code> 在 5 以上已持續 30 秒：最早到期的那個排程還沒送出。夜間批次和定期工作都不會開始。scheduler 沒有回應時，這個數值是未知的，響的會是 <code>component-unwell</code>。因為 drain 或 broker 停擺而扣住的，已經記錄下來，不算遲到。Prometheus 的 <code>CeleriacSchedulerLate</code> 看的是訊息進佇列時晚了多久。</p>
<p><strong>怎麼看。</strong> 清單的第一個就是遲到的那個；接著看原因：</p>
<pre><code class="language-sh">ask &#39;/v1/schedules?order_by=next_run_time&amp;page_size=3&#39;
SCHEDULE=cleanup-cache-daily     # 遲到的那個排程的 id
ask /v1/schedules/$SCHEDULE:explain
curl --silent http://127.0.0.1:8449/metrics | grep -E &#39;left_out|own_faults|last_success.*dispatch&#39;
</code></pre>
<p>正常：全部的 <code>next_run_time</code> 都在未來。異常：在過去。<code>summary</code> 和 <code>next_step</code> 會說哪裡不對、該做什麼。<code>celeriac_scheduler_schedules_left_out</code> 大於 0：scheduler 自己的程式處理這個排程時出錯，log 裡的 <code>schedule.left_out</code> 有例外內容。很多排程都遲到：資料庫太慢，或 scheduler 卡住了。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>看 log：<code>make logs NAME=scheduler FOLLOW=0</code>。是資料庫的錯誤：component-unwell。</li>
<li>只有一個排程被略過：先暫停它（<code>ask /v1/schedules/&lt;id&gt;:pause -d &#39;{}&#39;</code>），回報例外；不能等的話手動執行它的任務：<code>POST /v1/tasks:run</code>。其他排程照常進行。</li>
<li>卡住了：<code>kill -USR1 PID</code> 會把每個執行緒的堆疊寫進 log；然後重啟 scheduler。每個到期時間只會送一次，期間錯過的也依各排程的 misfire policy 處理。</li>
<li>過去錯過的到期時間：<code>POST /v1/schedules/&lt;id&gt;:backfill</code>（scheduling.md）。</li>
</ol>
<p><strong>如果是誤報。</strong> 比對時鐘：scheduler 以資料庫的時鐘為準，這個量測以 monitor 的為準；相差幾秒就要校時（NTP）。如果五秒對你們不算什麼：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/scheduler-late?update_mask=threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 60}&#39;
</code></pre>
`,"component-unwell":`<p><strong>這代表什麼。</strong> <code>subject</code> 這個元件的 <code>component_unwell</code> 是 2（unhealthy）已持續一分鐘。1 是 degraded，這裡不會響。使用者感受到什麼，取決於是哪個元件，見下表。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">make status
ask /v1/system/status
</code></pre>
<p>異常：<code>HEALTH_UNHEALTHY</code>，原因在 <code>detail</code>。<code>no answer within 2.0 s</code>：它卡住，或網路不通。<code>UNAVAILABLE: …</code>：它沒在跑，或憑證被拒絕。<code>without success for more than 60 s: dispatch</code>：它有回應，但這個背景迴圈一直失敗（loop-failing）。接著看它的 log：<code>make logs NAME=&lt;component&gt; FOLLOW=0</code>。</p>
<table>
<thead>
<tr>
<th>元件</th>
<th>停擺時</th>
</tr>
</thead>
<tbody><tr>
<td>scheduler</td>
<td>排程都不跑；之後會補上錯過的</td>
</tr>
<tr>
<td>embedder</td>
<td>沒有向量、不能搜尋</td>
</tr>
<tr>
<td>audit</td>
<td>呼叫照常；稽核紀錄先等在資料庫：audit-delayed</td>
</tr>
<tr>
<td>door</td>
<td>不能登入、沒有網頁；帶 token 的呼叫照常</td>
</tr>
<tr>
<td>monitor</td>
<td>聽到的東西寫不進去；有迴圈卡住</td>
</tr>
<tr>
<td>database</td>
<td>除了正在跑的任務，什麼都不能做；告警不會開始也不會結束</td>
</tr>
<tr>
<td>broker</td>
<td>任務送不出去也取不到；排程先等在資料庫</td>
</tr>
</tbody></table>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>看它的行程在不在（<code>make status</code>、systemd、Kubernetes），怎麼結束的：<code>last exit</code> 和 log 的最後幾行。啟動失敗的原因在最後一行：設定錯誤、埠被占用、資料表太舊。</li>
<li><code>database</code>：伺服器在嗎？磁碟有空間嗎（<code>its disk is full</code>：disk-full）？連線用完了嗎：<code>SELECT count(*) FROM pg_stat_activity</code>？資料庫回來後，服務會自己恢復。</li>
<li><code>broker</code>：<code>redis-cli ping</code>、<code>redis-cli info memory</code>、<code>redis-cli info persistence</code>。剛啟動的伺服器要先載入資料。如果回來後是空的，見 tasks-lost。</li>
<li>服務卡住：<code>kill -USR1 PID</code>（卡在哪裡會寫進它的 log），然後重啟它。不會遺失任何東西。<strong>但稽核日誌停止時，不要重啟 <code>audit</code></strong>：先看 <code>ask /v1/audit/status</code> 和 audit.md。</li>
<li>憑證被拒絕：certificate-expires。</li>
<li>最後手段：<code>make down</code> 再 <code>make up</code>。正在跑的任務有一分鐘可以做完，做不完的回到佇列。</li>
</ol>
<p><strong>如果是誤報。</strong> 服務重啟只會 unhealthy 幾秒。更久的計畫性維護請設靜音。如果本來就不跑某個元件，把它排除：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/component-unwell?update_mask=excluded_subject_patterns&#39; \\
  -X PATCH -d &#39;{&quot;excluded_subject_patterns&quot;: [&quot;door&quot;]}&#39;
</code></pre>
`,"queue-without-consumer":`<p><strong>這代表什麼。</strong> <code>subject</code> 這個佇列的 <code>queue_unread_length</code> 大於 0 已持續一分鐘：有訊息在等，卻沒有 worker 消費這個佇列。等再久，這些任務也不會跑。只要有 worker 還沒說出自己消費哪些佇列，這件事就是未知的，告警不會開始。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">QUEUE=maintenance     # 告警的 subject
ask /v1/queues/$QUEUE
ask &#39;/v1/workers?states=WORKER_STATE_ONLINE&amp;states=WORKER_STATE_SILENT&#39;
ask &quot;/v1/queues/$QUEUE:peek?count=10&quot;
</code></pre>
<p>正常：<code>consumers</code> 有 worker。異常：是空的。被人暫停的佇列、正在 drain 的系統都不會觸發這個告警，所以是這個佇列的 worker 不在：是結束了，還是送任務的人把佇列名稱拼錯了（<code>peek</code> 看得出是哪些任務）？</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>worker 結束了：重新啟動。<code>make up</code> 之下 supervisor 會啟動它；為什麼結束，看 <code>make logs NAME=worker-maintenance FOLLOW=0</code>。其他環境：<code>systemctl status</code>、<code>kubectl get pods</code>。</p>
</li>
<li><p>從來沒有 worker 消費它：用 <code>-Q &lt;佇列&gt;</code> 啟動一個，或讓認得這些任務的 worker 也消費它，維持到它重啟為止。</p>
<pre><code class="language-console">ask /v1/workers:addConsumer \\
  -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;], &quot;queue&quot;: &quot;queues/mail&quot;}&#39;
</code></pre>
</li>
<li><p>名稱拼錯：改正送任務的程式，再把訊息移過去。</p>
<pre><code class="language-console">ask /v1/queues/mial:moveMessages \\
  -d &#39;{&quot;destination_queue&quot;: &quot;queues/mail&quot;, &quot;count&quot;: 100, &quot;validate_only&quot;: true}&#39;
ask /v1/queues/mial:moveMessages \\
  -d &#39;{&quot;destination_queue&quot;: &quot;queues/mail&quot;, &quot;count&quot;: 100}&#39;
</code></pre>
</li>
<li><p>沒人需要：清掉，做法同 queue-long。十分鐘內可以復原。</p>
</li>
</ol>
<p><strong>如果是誤報。</strong> worker 只是偶爾才上線的佇列：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/queue-without-consumer?update_mask=excluded_subject_patterns&#39; \\
  -X PATCH -d &#39;{&quot;excluded_subject_patterns&quot;: [&quot;nightly_*&quot;]}&#39;
</code></pre>
`,"tasks-orphaned":`<p><strong>這代表什麼。</strong> <code>tasks_orphaned</code> 大於 0：最近五分鐘有任務變成 <code>ORPHANED</code>。它的 worker 不見了，沒有其他 worker 拿著它，訊息也不在佇列裡、不在未確認的清單裡。它可能跑了一半，也可能根本沒跑，而且不會自己重跑。使用者拿不到結果。最後一個出現後五分鐘結束。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask &#39;/v1/tasks?states=TASK_STATE_ORPHANED&amp;page_size=20&#39;
ask &#39;/v1/workers?states=WORKER_STATE_GONE&amp;states=WORKER_STATE_SILENT&#39;
make status
</code></pre>
<p>正常：沒有任務。異常：有任務，帶著 <code>state_reason</code>，而且有 worker 沒人去停就 <code>GONE</code>。它為什麼死了？看 <code>dmesg | grep -i kill</code>（記憶體不足）、它的 log、機器的開機時間、是否有部署用了 <code>kill -9</code>。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>worker 回來了嗎？<code>ask &#39;/v1/workers?states=WORKER_STATE_ONLINE&#39;</code>。沒有的話先啟動它們。</p>
</li>
<li><p>只是斷線又回來的 worker，會把任務拿回去：狀態會自己消失。等一分鐘。</p>
</li>
<li><p>重跑孤兒任務。先試算：回應會說有幾個能重試、其他的為什麼不能。做到一半的任務會重做，沒有為此設計的就會做兩遍。</p>
<pre><code class="language-console">ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_ORPHANED&quot;]}, &quot;validate_only&quot;: true}&#39;
ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_ORPHANED&quot;]}, &quot;expected_count&quot;: 4}&#39;
</code></pre>
</li>
<li><p><code>ARGUMENTS_UNKNOWN</code>：沒有人知道它們的參數。要由原本送任務的一方重送。</p>
</li>
<li><p>長期做法：<code>task_acks_late=True</code> 加上 <code>task_reject_on_worker_lost=True</code>，broker 就會重新投遞這種任務；前提是任務可以安全地跑兩次。</p>
</li>
</ol>
<p><strong>如果是誤報。</strong> 刻意殺掉的 worker，任務也不重要：調高門檻。訊息還在等 Celery 的 <code>visibility_timeout</code> 的任務不算孤兒，不會觸發。</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/tasks-orphaned?update_mask=threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 20}&#39;
</code></pre>
`,"tasks-lost":`<p><strong>這代表什麼。</strong> <code>tasks_lost</code> 大於 0：最近五分鐘有任務變成 <code>LOST</code>。broker 重新啟動後少了它們的訊息，也沒聽到任何 worker 開始執行。它們不會跑了。使用者在 broker 重啟前不久要求的事不會發生。最後一個出現後五分鐘結束。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask &#39;/v1/tasks?states=TASK_STATE_LOST&amp;page_size=20&#39;
ask &#39;/v1/runs?states=RUN_STATE_LOST&amp;page_size=20&#39;
ask /v1/system/status
</code></pre>
<pre><code class="language-console">redis-cli info server | grep uptime
redis-cli info persistence | grep -E &#39;aof_enabled|aof_last_write|rdb_last_bgsave_status&#39;
redis-cli config get dir
</code></pre>
<p>正常：沒有任務，也沒有 run。異常：有任務的 <code>state_reason</code> 提到 broker 重啟；<code>aof_enabled:0</code>，表示每次重啟都會失去上一份快照之後的東西；資料目錄是空的，表示全部都沒了。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>先查舊資料還在不在（volume 沒掛上、切換到空的 replica）。還在的話，停掉送任務的程式和 worker，用舊資料啟動 broker，從那裡繼續：之後再聽到的任務會回到真正的狀態。</p>
</li>
<li><p>重跑遺失的任務。先試算，再填它給的數量：</p>
<pre><code class="language-console">ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_LOST&quot;]}, &quot;validate_only&quot;: true}&#39;
ask /v1/tasks:retryMatching \\
  -d &#39;{&quot;filter&quot;: {&quot;states&quot;: [&quot;TASK_STATE_LOST&quot;]}, &quot;expected_count&quot;: 40}&#39;
</code></pre>
</li>
<li><p>排程遺失的 run：設了 <code>resend_lost</code> 的排程已經重送。其他的用 <code>ask /v1/schedules/&lt;id&gt;:trigger -d &#39;{}&#39;</code>。backfill 不會重送遺失的 run。</p>
</li>
<li><p>monitor 當時也沒聽到的任務，不會列出來。問問送任務的人少了什麼。</p>
</li>
<li><p>長期做法：broker 設 <code>appendonly yes</code>（<code>make up</code> 已經設好），這樣重啟最多只失去一秒的資料。</p>
</li>
</ol>
<p><strong>如果是誤報。</strong> 刻意清空 broker（例如測試環境）會觸發：事先設靜音。這條規則沒有比 0 更好的門檻；broker 本來就不保存資料的環境，就暫停它：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/tasks-lost?update_mask=paused&#39; -X PATCH -d &#39;{&quot;paused&quot;: true}&#39;
</code></pre>
`,"runs-unheard":`<p><strong>這代表什麼。</strong> <code>runs_unheard</code> 大於 0 已持續一分鐘：排程送出了 run，到期已超過五分鐘，卻沒聽到任何 worker 收到。可能是工作沒做，也可能做了但沒人回報。</p>
<p><strong>怎麼看。</strong> 元件 <code>tasks</code> 會寫出最早的那個 run 和它的佇列：</p>
<pre><code class="language-sh">ask /v1/system/status
SCHEDULE=cleanup-cache-daily     # 那個 run 的排程
ask /v1/schedules/$SCHEDULE:explain
QUEUE=maintenance     # 那個 run 的佇列
ask /v1/queues/$QUEUE
ask &#39;/v1/workers?states=WORKER_STATE_ONLINE&#39;
</code></pre>
<p><code>explain</code> 的 <code>next_step</code> 會說哪裡不對：沒有人消費、被暫停、worker 跟不上。如果佇列是空的又有 consumer，就是 worker 取走了訊息卻沒有回報：它們的 <code>task_events</code> 是 <code>TASK_EVENTS_OFF</code>，或是事件落後、漏接。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>沒有 consumer 或被暫停：queue-without-consumer。前面排太多訊息：queue-long。</li>
<li>worker 不送事件：啟動時加 <code>-E</code>，或設 <code>worker_send_task_events = True</code>。Celeriac 會叫它們送，但被人明確關掉的不會去動；用 <code>celery -A &lt;app&gt; control enable_events</code> 打開。</li>
<li>訊息不見了，也沒有 worker 拿著：再觸發一次排程，<code>ask /v1/schedules/&lt;id&gt;:trigger -d &#39;{}&#39;</code>。如果其實有 worker 默默跑過，就會跑兩次。</li>
<li>這些 run 已經沒人需要：撤銷它們的任務（run 的 <code>task</code>），worker 取到時就會丟棄：<code>ask /v1/tasks/&lt;id&gt;:revoke -d &#39;{}&#39;</code>。</li>
</ol>
<p><strong>如果是誤報。</strong> 佇列平常就要排好幾分鐘的話，run 也會等那麼久。給規則一個門檻，或把持續時間設得比排隊時間長：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/runs-unheard?update_mask=hold_duration&#39; \\
  -X PATCH -d &#39;{&quot;hold_duration&quot;: &quot;1800s&quot;}&#39;
</code></pre>
`,"etas-passed":`<p><strong>這代表什麼。</strong> <code>etas_long_past</code> 大於 0 已持續一分鐘：指定了時間（<code>eta</code> 或 <code>countdown</code>）的任務，過了五分鐘還沒開始。提醒、重試、延後寄送的郵件都會晚到。已過期（expires）的不算，晚超過一天的也不算。</p>
<p><strong>怎麼看。</strong> 元件 <code>tasks</code> 會寫出最早的那個；再看拿著它的 worker：</p>
<pre><code class="language-sh">ask /v1/system/status
ask &#39;/v1/tasks?states=TASK_STATE_RECEIVED&amp;page_size=20&#39;
WORKER=worker-maintenance@celeriac     # 這種任務所在的 worker
ask /v1/workers/$WORKER:inspect
</code></pre>
<p>worker 會提早取走有指定時間的任務，放在記憶體裡等到那時（<code>scheduled_tasks</code>）。正常：裡面沒有時間已過的。異常：<code>active_count</code> 等於 <code>concurrency</code>，時間到了的任務排在後面等；或 worker 是 <code>SILENT</code>、<code>GONE</code>，它的任務在等 broker 重新投遞。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>worker 太忙：runtime-long；或替它增加行程，維持到它重啟為止。</p>
<pre><code class="language-console">ask /v1/workers:growPool -d &#39;{&quot;workers&quot;: [&quot;workers/celery@host&quot;], &quot;count&quot;: 2}&#39;
</code></pre>
</li>
<li><p>worker 不見了：過了應用程式的 <code>visibility_timeout</code>（Celery 預設一小時），broker 會重新投遞它的任務。等；或先跑急件：retry 只能用在已結束的任務，所以由原本的程式重送，或用 <code>POST /v1/tasks:run</code>；然後撤銷舊的那個，否則會跑兩次。</p>
</li>
<li><p>worker 的時鐘不準：worker-clock-wrong。</p>
</li>
<li><p>worker 卡住：溫和地停掉它（<code>POST /v1/workers:shutdown</code>，super_admin）。它手上的任務會回到佇列。</p>
</li>
<li><p>沒人需要：<code>ask /v1/tasks/&lt;id&gt;:revoke -d &#39;{}&#39;</code>。</p>
</li>
</ol>
<p><strong>如果是誤報。</strong> 刻意讓 worker 滿載、時間只是期望值的環境：把持續時間拉長。</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/etas-passed?update_mask=threshold,hold_duration&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 50, &quot;hold_duration&quot;: &quot;1800s&quot;}&#39;
</code></pre>
`,"gaps-open":`<p><strong>這代表什麼。</strong> <code>gaps_open</code> 大於 0 已持續十分鐘：漏接了一段事件，而相關任務的下落還沒查清楚。通常幾秒就能補好。任務照常執行；只是有些還顯示舊狀態，計數可能偏少。使用者沒有感覺。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask &#39;/v1/eventGaps?states=EVENT_GAP_STATE_OPEN&#39;
ask &#39;/v1/workers?states=WORKER_STATE_SILENT&#39;
ask /v1/system/status
</code></pre>
<p>正常：沒有 gap。異常：有 gap，<code>note</code> 寫著修復在等什麼；<code>undecided_count</code> 是下落不明的任務數，<code>cause</code> 是漏接的原因（monitor.md）。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>在等沒回應的 worker：看它是否還活著。會一直等到它 <code>GONE</code>：有 heartbeat 的是一分鐘，<code>solo</code> pool 最久一小時。確定它死了，就把它刪掉：</p>
<pre><code class="language-console">ask &#39;/v1/workers/celery@host~4711&#39; -X DELETE
</code></pre>
</li>
<li><p>在等 result backend：那台伺服器在嗎？monitor 的 <code>CELERIAC_RESULT_URL</code> 對嗎？</p>
</li>
<li><p>在等 broker，或等候的訊息超過 200,000 則：先看 queue-long。</p>
</li>
<li><p>一直有新的 gap：<code>RELAY_CUT</code> 是 relay 一再重啟或連不到 broker（<code>make logs NAME=relay FOLLOW=0</code>）；<code>STREAM_FULL</code> 是 monitor 停太久或太慢：調大 <code>CELERIAC_RELAY_BYTES</code>；<code>MONITOR_STOPPED</code> 是沒有 relay：跑一個。</p>
</li>
<li><p>worker 的 <code>task_events</code> 是關的：見 runs-unheard。</p>
</li>
</ol>
<p><strong>如果是誤報。</strong> <code>solo</code> pool 的 worker 跑一小時的任務時，無法回應。把持續時間設得比那種任務長：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/gaps-open?update_mask=hold_duration&#39; \\
  -X PATCH -d &#39;{&quot;hold_duration&quot;: &quot;5400s&quot;}&#39;
</code></pre>
`,"events-late":`<p><strong>這代表什麼。</strong> <code>event_lag_seconds</code> 大於 10 已持續一分鐘：從 worker 產生最新事件，到 monitor 收下它，隔了這麼久。任務照常執行；畫面和告警所依據的狀態都落後這麼多。降到 5 時結束。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask /v1/metrics/realtime
ask /v1/system/metrics
ask &#39;/v1/workers?states=WORKER_STATE_ONLINE&#39;
curl --silent http://127.0.0.1:8453/metrics | grep celeriac_relay
curl --silent http://127.0.0.1:8451/metrics | grep -E &#39;event_lag|tasks_waiting|monitor_writes&#39;
</code></pre>
<p>正常：<code>event_lag</code> 不到一秒。異常：一直變大（monitor 或 relay 太慢，或機器太忙）；或維持不變，而且某個 worker 的 <code>clock_skew</code> 一樣大：那只是它的時鐘不準。<code>celeriac_relay_buffered_bytes</code> 大於 0：relay 寫不進 stream。<code>celeriac_monitor_tasks_waiting</code> 一直增加：資料庫太慢。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>時鐘不準：worker-clock-wrong。</li>
<li>發生在停擺之後，而且 <code>event_lag</code> 正在下降：monitor 在追進度。等。</li>
<li>機器太忙（<code>cpu_percent</code> 接近 100）：用 <code>top</code> 找出是誰，把它移走，或給 monitor 更多 CPU。</li>
<li>資料庫太慢：看 <code>pg_stat_activity</code> 裡的長交易和鎖，以及磁碟是否滿了。</li>
<li>relay：<code>make logs NAME=relay FOLLOW=0</code>；它存放 stream 的伺服器在嗎？記憶體還夠嗎？</li>
<li>重啟 monitor。有 relay 就不會漏；沒有的話，重啟期間是一段 gap。</li>
</ol>
<p><strong>如果是誤報。</strong> 一次湧入幾十萬個事件，可能要十秒以上才收得完：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/events-late?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 60, &quot;clear_threshold&quot;: 30}&#39;
</code></pre>
`,"worker-clock-wrong":`<p><strong>這代表什麼。</strong> <code>subject</code> 這個 worker 的 <code>worker_skew_seconds</code> 大於 15 已持續五分鐘：它的時鐘與 monitor 的不同，快或慢都算。它的任務會太早或太晚開始（<code>eta</code>）、過期判斷錯誤，顯示的時間和順序也不對。降到 10 時結束。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask &#39;/v1/workers?states=WORKER_STATE_ONLINE&#39;
date -u
</code></pre>
<p>在 worker 的機器上：</p>
<pre><code class="language-console">date -u
timedatectl
chronyc tracking
</code></pre>
<p>正常：全部的 <code>clock_skew</code> 都不到 2 秒。異常：一個 worker 很大，是那台機器的時鐘不準；全部都差不多大，是 monitor 自己的不準。<code>timedatectl</code> 寫著 <code>System clock synchronized: no</code>。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>在時鐘不準的機器上打開 NTP（容器則在宿主機上）：<code>timedatectl set-ntp true</code>。沒有代價；差一點點的時鐘會慢慢校正。</li>
<li>差很多：直接校正，<code>chronyc makestep</code>。資料庫的機器不要這樣做：排程以它的時鐘為準，被跳過的到期時間會算成錯過。那台讓 NTP 慢慢校正。</li>
<li>休眠過或搬移過的機器：校正後重啟 worker（warm），讓它的計時器正確。</li>
<li>校正後，告警在兩分鐘內結束。已經存下來的時間不會改。</li>
</ol>
<p><strong>如果是誤報。</strong> 偶爾斷線幾秒的 worker 可能看起來有偏差：量的是一到兩分鐘內的最小差距。如果你們的機器只能做到這樣：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/worker-clock-wrong?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 60, &quot;clear_threshold&quot;: 30}&#39;
</code></pre>
`,"broker-may-drop-tasks":`<p><strong>這代表什麼。</strong> <code>broker_can_drop_tasks</code> 是 1 已持續一分鐘：broker 有記憶體上限（<code>maxmemory</code>），淘汰策略又不是 <code>noeviction</code>。記憶體滿了它就會丟掉 key，而一個佇列就是一個 key：整個佇列的訊息可能一次消失，而且沒有任何錯誤。告警響的時候還沒有遺失。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask /v1/system/status
</code></pre>
<pre><code class="language-console">redis-cli config get &#39;maxmemory*&#39;
redis-cli info memory | grep -E &#39;used_memory_human|maxmemory_human&#39;
redis-cli info stats | grep evicted_keys
</code></pre>
<p>正常：<code>noeviction</code>，而且記憶體離上限還遠。異常：<code>allkeys-lru</code> 之類的。<code>evicted_keys</code> 大於 0：已經丟過 key 了；接著查 遺失的任務和沒被聽到的排程（runs-unheard）。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>改設定。改了之後，滿了的 broker 會拒絕新訊息，送任務的一方看得到錯誤，而不是丟掉舊訊息。</p>
<pre><code class="language-console">redis-cli config set maxmemory-policy noeviction
redis-cli config rewrite
</code></pre>
</li>
<li><p>不允許 <code>CONFIG</code>（例如雲端代管）：在它的 parameter group 或主控台設 <code>maxmemory-policy</code>。</p>
</li>
<li><p>記憶體快滿了：加大（<code>redis-cli config set maxmemory 4gb</code>），或找出是什麼占的：<code>redis-cli --bigkeys</code>。佇列太長：queue-long。沒有期限的結果：設 <code>result_expires</code>。</p>
</li>
<li><p>這台伺服器同時是應用程式的快取，需要那種策略：給 broker 一台自己的伺服器。同一台換另一個 database 編號沒有用，策略是整台伺服器的。</p>
</li>
</ol>
<p><code>make up</code> 的 Valkey 用的是 <code>noeviction</code>，所以只有在有人改過，或 broker 是你們自己的時，才會響。</p>
<p><strong>如果是誤報。</strong> 對 broker 來說，只有 <code>noeviction</code> 是安全的：用 <code>volatile-*</code> 時，Celery 的訊息會留著，但有期限的標記可能不見，而每個 run 只送一次就靠這些標記。如果你們接受這一點：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/broker-may-drop-tasks?update_mask=paused&#39; \\
  -X PATCH -d &#39;{&quot;paused&quot;: true}&#39;
</code></pre>
`,"audit-delayed":`<p><strong>這代表什麼。</strong> <code>subject</code> 這個服務的 <code>outbox_oldest_seconds</code> 大於 300：要送給稽核日誌的紀錄等在它的 outbox，因為 audit 服務沒有收。只要資料庫有空間就不會遺失，使用者也沒有感覺。但這段時間做過的事，還沒進稽核日誌。降到 60 時結束。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask /v1/audit/status
ask /v1/system/status
</code></pre>
<pre><code class="language-console">make logs NAME=audit FOLLOW=0
psql &quot;$DATABASE_URL&quot; -c &#39;SELECT count(*) FROM audit_outbox_scheduler&#39;
</code></pre>
<p>正常：<code>&quot;accepting&quot;: true</code>，元件 <code>audit</code> 健康。異常：<code>&quot;accepting&quot;: false</code> 而且有 <code>faults</code>：日誌停止了，因為存著的東西和當初簽章的不一樣。元件 unhealthy：服務停擺。audit 正常、只有一個服務落後：那個服務到 audit 的路斷了（位址、憑證）。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>日誌停止了：<strong>不要重啟 audit 服務</strong>；現在這個行程知道的事，新的行程不會知道。照 audit.md 的順序做。這可能是攻擊：通知資安負責人。</li>
<li>audit 服務掛了：啟動它；<code>last exit</code> 和 log 的結尾寫著原因。等候的紀錄半分鐘內會送進去。</li>
<li>資料庫的磁碟滿了：disk-full。</li>
<li>只有一個服務：它的 <code>CELERIAC_AUDIT_ADDRESS</code> 對嗎？憑證有效嗎（certificate-expires）？它的 log 在 <code>audit_outbox</code> 那幾行寫著原因。</li>
</ol>
<p><strong>如果是誤報。</strong> 計畫性停掉 audit 服務超過五分鐘：設靜音。否則調高門檻：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/audit-delayed?update_mask=threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 1800}&#39;
</code></pre>
`,"loop-failing":`<p><strong>這代表什麼。</strong> <code>loop_failing_seconds</code> 大於 120。<code>subject</code> 是服務加迴圈，例如 <code>scheduler/dispatch</code>：這個服務在背景做的工作，每次都失敗，或一去不回。呼叫照常有回應。每個迴圈做什麼，見 prometheus.md；使用者感受到什麼就看是哪個迴圈。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask /v1/system/status
# 埠：8449 scheduler、8450 embedder、8451 monitor、8452 audit
curl --silent http://127.0.0.1:8449/metrics | grep celeriac_loop
curl --silent http://127.0.0.1:8449/readyz
</code></pre>
<pre><code class="language-console">make logs NAME=scheduler FOLLOW=0
</code></pre>
<p>正常：<code>celeriac_loop_last_success_seconds</code> 大約是現在，<code>celeriac_loop_failures_total</code> 不動。異常：計數一直增加（它在失敗，log 裡有例外）；或最後成功的時間和計數都不動（它卡住了）。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>例外提到資料庫、broker 或其他服務：先修那個（component-unwell）。迴圈會自己恢復。</li>
<li><code>outcomes</code>、<code>losses</code>、<code>gap_repair</code> 要等別人：monitor、worker、result backend。<code>audit_outbox</code>：audit-delayed。<code>config</code>：scheduler 停擺，最後知道的設定繼續有效。</li>
<li>卡住了：<code>kill -USR1 PID</code> 會把卡在哪裡寫進 log。把它留下來。然後重啟服務：不會遺失任何東西。</li>
<li>例外跟這些都無關，就是 Celeriac 的錯誤：保留 log 和堆疊，重啟，並回報。只在某一個排程上失敗：scheduler-late。</li>
</ol>
<p><strong>如果是誤報。</strong> 資料庫每晚備份時會停幾分鐘：把持續時間拉長，或排除某個迴圈：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/loop-failing?update_mask=excluded_subject_patterns&#39; \\
  -X PATCH -d &#39;{&quot;excluded_subject_patterns&quot;: [&quot;monitor/gap_repair&quot;]}&#39;
</code></pre>
`,"disk-full":`<p><strong>這代表什麼。</strong> <code>subject</code> 這顆磁碟（掛載點）的 <code>disk_used_percent</code> 大於 90 已持續兩分鐘。只量 monitor 所在的機器。磁碟滿了，資料庫就停了：會改動資料的呼叫都被拒絕（<code>RESOURCE_EXHAUSTED</code>），排程不跑，broker 也寫不了檔案。降到 88 時結束。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask /v1/system/metrics
ask /v1/system/status
df -h
du -sh .celeriac/postgres .celeriac/valkey .celeriac/logs
</code></pre>
<p>正常：每顆磁碟的 <code>free_bytes</code> 超過十分之一。異常：每分鐘都在減少。元件 <code>database</code> 寫著 <code>its disk is full</code>：已經發生了，而且是在資料庫那台機器上，不管它在哪裡。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>刪掉不屬於 Celeriac 的：舊套件、dump、core 檔、容器映像。絕對不要刪 <code>postgres/</code> 或 <code>valkey/</code> 底下的檔案。</p>
</li>
<li><p>log：<code>make up</code> 有上限（每個元件 10 MB，再加兩份舊的）。其他環境：<code>journalctl --vacuum-size=1G</code>。</p>
</li>
<li><p>是 Celeriac 保存的任務占的：縮短保存時間。更舊的就永遠沒了；資料表是整張丟掉，一分鐘左右就有空間。</p>
<pre><code class="language-console">ask /v1/configs/monitor.tasks.retention:set \\
  -d &#39;{&quot;value&quot;: {&quot;duration_value&quot;: &quot;604800s&quot;}, &quot;comment&quot;: &quot;the disk is full&quot;}&#39;
</code></pre>
<p>以後可以設上限：\`CELERIAC_MONITOR_TASKS_BYTES\`。run 的對應設定是 <code>scheduler.runs.retention</code>。</p>
</li>
<li><p>是 PostgreSQL 的 WAL 占的：沒人讀的 replication slot（<code>SELECT slot_name, active FROM pg_replication_slots</code>），或 archive command 一直失敗。確定讀的那一方永遠不會回來，才能刪 slot。</p>
</li>
<li><p>是 broker 的檔案占的：<code>redis-cli bgrewriteaof</code> 會重寫它，重寫期間兩份都要空間。</p>
</li>
<li><p>加大磁碟。</p>
</li>
</ol>
<p><strong>如果是誤報。</strong> 大磁碟的十分之一很多：調高門檻，或排除本來就是滿的磁碟：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/disk-full?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 95, &quot;clear_threshold&quot;: 94}&#39;
ask &#39;/v1/alertRules/disk-full?update_mask=excluded_subject_patterns&#39; \\
  -X PATCH -d &#39;{&quot;excluded_subject_patterns&quot;: [&quot;/snap/*&quot;]}&#39;
</code></pre>
`,"certificate-expires":`<p><strong>這代表什麼。</strong> <code>subject</code> 的 <code>certificate_left_seconds</code> 不到 14 天。是服務：過期之後，其他服務和 gateway 都會拒絕它，也就是那個服務停擺。是 <code>gateway</code>：Envoy 現在出示的憑證，過期之後所有用戶端都會拒絕它。其他名稱（<code>worker</code>、<code>tasks</code>、<code>ca</code>）是 <code>CELERIAC_MONITOR_CERTIFICATES</code> 列出的檔案。在那之前使用者沒有感覺。不用 <code>make up</code> 時，後兩種要設定 monitor 才會量測。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">for name in scheduler embedder monitor audit door gateway worker; do
  echo &quot;$name $(openssl x509 -enddate -noout -in .celeriac/certs/$name.crt)&quot;
done
openssl x509 -enddate -noout -in .celeriac/ca.pem
</code></pre>
<p>其他環境看 <code>CELERIAC_TLS_CERT</code> 和 <code>CELERIAC_TLS_CA</code> 所指的檔案。正常：全部都超過一個月。異常：只剩幾天。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><code>make up</code>：憑證效期一年，到期前一個月起，啟動時會重新產生。所以這表示系統已經連續跑了將近一年：<code>make down</code> 再 <code>make up</code>。所有憑證和憑證機構（CA）都是新的，因此要把新的 <code>.celeriac/ca.pem</code> 給各個用戶端，並讓 瀏覽器信任它。代價是重啟的幾秒鐘。</li>
<li>其他環境：簽發同樣 DNS 名稱 <code>&lt;service&gt;.celeriac.internal</code> 的新憑證（operating.md），換掉檔案（先寫在旁邊再改名；金鑰和憑證都要）。服務幾秒內就會換用，不必重啟。</li>
<li>gateway 只在啟動時讀檔：換好之後重新啟動 Envoy，一個 replica 接一個。告警會在五分鐘內結束。</li>
<li>CA 本身要到期：過渡期間服務必須同時信任新舊兩個。先把兩個都放進所有的 <code>ca.pem</code>，再換憑證，最後拿掉舊的。</li>
<li>cert-manager 之類的工具本來就該更新它：查出為什麼沒有，否則還會再來。</li>
</ol>
<p><strong>如果是誤報。</strong> 效期只有幾天的憑證，永遠都不到 14 天。把門檻設成效期的一部分（單位是秒，這裡是 12 小時）：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/certificate-expires?update_mask=threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 43200}&#39;
</code></pre>
`,"sign-ins-refused":`<p><strong>這代表什麼。</strong> <code>subject</code> 這個服務的 <code>sign_ins_refused</code> 在 20 以上：五分鐘內它拒絕了這麼多無法證明身分的呼叫者。在一般服務上：token 已撤銷，或 gateway 收下而服務不收（金鑰檔不同、時鐘不準）。在 <code>door</code> 上：沒有登入的請求、錯誤的驗證碼、失效的連結。在 <code>gateway</code> 上：沒有 token、token 過期或是偽造的（不用 <code>make up</code> 時，要設定 <code>CELERIAC_MONITOR_GATEWAY_ADMIN</code> 才會計算）。可能是程式拿著舊 token，也可能是有人在試。低於 5 時結束。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-console">make logs NAME=door SINCE=10m FOLLOW=0 | grep -E &#39;&quot;status&quot;: ?(401|403|410)&#39; | tail -20
make logs NAME=gateway SINCE=10m FOLLOW=0 | grep -E &#39;&quot;status&quot;: ?(401|403)|UNAUTHENTICATED&#39; | tail -20
</code></pre>
<pre><code class="language-sh">ask &#39;/v1/auditRecords?page_size=20&#39;
</code></pre>
<p>正常：零星幾行，是閒置了十二小時的人。異常：很多行都是同一個 <code>address</code> 或同一個 <code>actor</code>。<code>Jwt_is_expired</code>：有程式沒有更新 token。一個人接一個人的驗證碼和連結被拒絕：有人在猜。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><p>某個程式，token 過期或被撤銷：通知負責人，給它新的 token。等一下也無妨。</p>
</li>
<li><p>某次變更之後所有 token 都被拒絕：<code>jwks.json</code> 或 <code>CELERIAC_TOKEN_ISSUER</code> 不對，或時鐘不準：改正它。金鑰檔五秒內會重新讀取。</p>
</li>
<li><p>有人在猜驗證碼：錯五次之後，door 一分鐘內都不收，之後越來越久。從 gateway 的 log 找出位址，在防火牆擋掉；<code>CELERIAC_GATEWAY_ALLOW</code> 可以只讓指定的網段進來，gateway 重新啟動後生效。</p>
</li>
<li><p>token 或帳號落入他人手中：撤銷。需要 super_admin；這個 subject 的所有 token 一秒內都會被拒絕。</p>
<pre><code class="language-console">TOKEN=$(make --silent token ROLE=super_admin)
ask /v1/access:revoke -d &#39;{&quot;subject&quot;: &quot;mei&quot;, &quot;reason&quot;: &quot;lost laptop&quot;}&#39;
</code></pre>
</li>
</ol>
<p><strong>如果是誤報。</strong> 掃描 door 各路徑的工具會算在內，沒有登入就輪詢的程式也會。把它擋掉，或調高門檻：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/sign-ins-refused?update_mask=threshold,clear_threshold&#39; \\
  -X PATCH -d &#39;{&quot;threshold&quot;: 200, &quot;clear_threshold&quot;: 100}&#39;
</code></pre>
`,"alerts-undelivered":`<p><strong>這代表什麼。</strong> <code>alerts_undelivered</code> 大於 0 已持續五分鐘：有通知管道沒收下告警訊息，訊息還在等；或在過去一天內放棄了（試了 24 小時，或管道已經不在檔案裡）。該知道告警的人不知道。其他管道會收到這個告警。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask &#39;/v1/alerts?undelivered_only=true&#39;
ask /v1/alertChannels
</code></pre>
<p><code>ask /v1/alerts/17</code> 列出每一次嘗試。正常：沒有告警；每個管道的 <code>error</code> 都是空的，<code>waiting_count</code> 是 0。異常：<code>error</code> 寫著原因：密碼、位址不認得、20 秒內沒有回應。呼叫 <code>alertChannels</code> 得到 <code>ALERT_CHANNELS_UNREADABLE</code>：檔案有錯，訊息會說是什麼；目前用的是出錯之前讀到的管道。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>先看正在響的告警並處理：<code>ask &#39;/v1/alerts?states=ALERT_STATE_FIRING&#39;</code>。沒被通知到的人，請親自通知。</li>
<li>修好管道：改 <code>CELERIAC_MONITOR_ALERT_CHANNELS</code> 檔案裡的 <code>url</code>（<code>make up</code> 之下是 <code>.celeriac/alert-channels.toml</code>）。檔案會立刻重新讀取，等候的訊息在下一次嘗試時送出。</li>
<li>測試：<code>ask /v1/alertChannels/&lt;name&gt;:test -d &#39;{}&#39;</code> 會回 <code>&quot;delivered&quot;: true</code>，或說明為什麼不行。</li>
<li>對方的服務掛了，或 monitor 的機器連不到它（防火牆、proxy）：從那台機器 <code>curl -v</code> 它的主機。訊息會重試 24 小時。</li>
<li>刻意從檔案拿掉的管道：不必處理；它最後一則訊息過一天後，告警就結束。</li>
</ol>
<p><strong>如果是誤報。</strong> 某個管道常常停個幾分鐘：</p>
<pre><code class="language-console">ask &#39;/v1/alertRules/alerts-undelivered?update_mask=hold_duration&#39; \\
  -X PATCH -d &#39;{&quot;hold_duration&quot;: &quot;3600s&quot;}&#39;
</code></pre>
`,"events-not-heard":`<p><strong>這代表什麼。</strong> 所有 monitor 的 <code>celery_event_stream_up</code> 都是 0，已持續一分鐘：對 broker 事件的訂閱沒有打開。任務照常執行；畫面上的狀態停住不動。這段時間會成為一段 gap，之後會補。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask /v1/system/status
curl --silent http://127.0.0.1:8453/metrics | grep celeriac_relay_up
curl --silent http://127.0.0.1:8451/metrics | grep celery_event_stream_up
</code></pre>
<p>正常：兩個都是 1。異常：元件 <code>events</code> 寫著 <code>cut off from the broker&#39;s events</code>。<code>celeriac_relay_up</code> 是 0：relay 聽不到 broker；是 1：monitor 讀不到 relay 的 stream。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>broker 在嗎？不在的話：component-unwell。relay 和 monitor 之後會自己恢復。</li>
<li><code>make logs NAME=relay FOLLOW=0</code>：密碼被拒絕，或使用者沒有訂閱權限（<code>+@pubsub</code>，your-own-servers.md）。</li>
<li>relay 存放 stream 的伺服器（<code>CELERIAC_RELAY_URL</code>）在嗎？記憶體夠嗎？</li>
<li>重啟 relay，再重啟 monitor。relay 停擺期間發出的事件會成為 gap。</li>
</ol>
<p><strong>如果是誤報。</strong> 沒有 worker、沒有任務時並不會響。計畫性維護 broker：在 Alertmanager 設靜音。否則把規則的 <code>for:</code> 拉長。</p>
`,"scheduler-slow":`<p><strong>這代表什麼。</strong> 最近五分鐘，scheduler 每二十次呼叫有一次超過五秒。修改排程的網頁和程式會等很久，或放棄（一次呼叫最多 15 秒）。排程也可能遲到：scheduler-late。</p>
<p><strong>怎麼看。</strong> 哪些方法慢，是機器還是資料庫慢：</p>
<pre><code class="language-sh">curl --silent http://127.0.0.1:8449/metrics | grep celeriac_rpc_duration_seconds_sum
curl --silent http://127.0.0.1:8449/readyz
ask /v1/system/status
ask /v1/system/metrics
</code></pre>
<pre><code class="language-console">psql &quot;$DATABASE_URL&quot; -c &quot;SELECT pid, now() - xact_start AS since, state, left(query, 80)
  FROM pg_stat_activity WHERE xact_start IS NOT NULL ORDER BY 2 DESC LIMIT 10&quot;
</code></pre>
<p>正常：元件 <code>database</code> 的 <code>latency</code> 是幾毫秒。異常：接近上限的 2 秒；有交易開了好幾分鐘；或 <code>cpu_percent</code> 接近 100。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>長交易占著鎖：找出是誰的，結束它（<code>SELECT pg_terminate_backend(pid)</code>）。它做過的會被還原。</li>
<li>機器太忙，或磁碟太慢、滿了（disk-full）：先處理。</li>
<li>某個呼叫者要得太多，例如一再匯出大量資料：<code>make logs NAME=gateway FOLLOW=0</code> 的 <code>actor</code> 看得出是誰。</li>
<li>缺的是 CPU：再啟動一個 scheduler replica（scheduling.md）。</li>
</ol>
<p><strong>如果是誤報。</strong> 大量匯入、匯出本來就要時間：調高規則的門檻。</p>
`,"schedules-left-out":`<p><strong>這代表什麼。</strong> <code>celeriac_scheduler_schedules_left_out</code> 大於 0：scheduler 自己的程式處理某些排程時出錯。這些排程暫時不跑；每分鐘會再試一次。其他排程照常。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">curl --silent http://127.0.0.1:8449/metrics | grep -E &#39;schedules_left_out|own_faults&#39;
ask &#39;/v1/schedules?order_by=next_run_time&amp;page_size=3&#39;
</code></pre>
<pre><code class="language-console">make logs NAME=scheduler FOLLOW=0 | grep left_out
</code></pre>
<p>正常：0。異常：log 寫著是哪個排程、什麼例外、在程式的哪裡。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>保留那行 log 並回報：這是 Celeriac 的錯誤。</li>
<li>工作不能等的話，手動執行它的任務（<code>POST /v1/tasks:run</code>），或用另一個名稱重建排程。</li>
<li>暫停那個排程，別讓它再響：<code>ask /v1/schedules/&lt;id&gt;:pause -d &#39;{}&#39;</code>。</li>
<li>換上修正過的版本後，會依 misfire policy 補送。</li>
</ol>
<p><strong>如果是誤報。</strong> 不會是誤報；排程暫停之後告警就結束。</p>
`,"target-down":`<p><strong>這代表什麼。</strong> Prometheus 一分鐘讀不到 Celeriac 某個行程的 metrics。可能是行程不在了，也可能是 metrics 埠連不到。</p>
<p><strong>怎麼看。</strong> 標籤 <code>job</code> 和 <code>instance</code> 說明是哪一個：</p>
<pre><code class="language-sh">make status
curl --silent http://127.0.0.1:8451/livez
curl --silent http://127.0.0.1:8451/readyz
</code></pre>
<p>正常：<code>/livez</code> 回 200，<code>/readyz</code> 每一行都是 <code>ok</code>。異常：沒有回應（行程不在或卡住），或有一行寫著什麼不行（operating.md）。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li>在它自己的機器上有回應：Prometheus 到它的路斷了（防火牆、<code>CELERIAC_LISTEN</code>、<code>CELERIAC_METRICS_PORT</code>、target 已不存在）。</li>
<li>沒在跑：component-unwell 的步驟 1。如果是 monitor，在它回來之前，Celeriac 自己的告警都不會響。</li>
<li>在跑但沒回應：<code>kill -USR1 PID</code>，保留 log，重啟它。</li>
</ol>
<p><strong>如果是誤報。</strong> 已經永久拿掉的 replica：從 Prometheus 的 target 移除。</p>
`,"audit-log-stopped":`<p><strong>這代表什麼。</strong> 存著的稽核日誌和當初簽章的不一樣，所以它不收紀錄。呼叫照常，紀錄先等在資料庫；有空間就不會遺失。可能有人改過日誌。</p>
<p><strong>怎麼看。</strong></p>
<pre><code class="language-sh">ask /v1/audit/status
curl --silent http://127.0.0.1:8452/metrics | grep audit_log_stopped
</code></pre>
<p>正常：<code>&quot;accepting&quot;: true</code>。異常：<code>faults</code> 寫著哪裡不對。先抄下來。</p>
<p><strong>怎麼處理。</strong></p>
<ol>
<li><strong>不要重啟 audit 服務</strong>：現在這個行程知道最新的 checkpoint，新的行程不知道。</li>
<li>通知資安負責人。</li>
<li>照 audit.md 的順序：保留證據、驗證、修復。</li>
</ol>
<p><strong>如果是誤報。</strong> 從備份還原的資料庫看起來也一樣；那種情況該怎麼做，audit.md 也有寫。靜音的時間不要超過處理所需的時間。</p>
`};export{e as default};