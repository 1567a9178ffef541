"""The servicer of AlertService."""

from __future__ import annotations

import datetime as dt

from celeriac.monitor.v1 import alerts_pb2 as pb
from celeriac.monitor.v1 import alerts_pb2_grpc

from services.kernel.grpc.wire import Context, once_in
from services.kernel.identity import current_subject
from services.kernel.pages import encode_place, next_page_token, page_size
from services.kernel.validation import Faults
from services.monitor.alerts.alerts import Alerts
from services.monitor.alerts.rules import Rules
from services.monitor.api import alert_requests as requests
from services.monitor.api.alert_rules import changed_rule, mask_in, new_rule_in, rule_to, trial_to
from services.monitor.api.convert_alerts import alert_to, channel_to, silence_to
from services.monitor.api.pages import page_by_name


class AlertApi(alerts_pb2_grpc.AlertServiceServicer):
    def __init__(self, rules: Rules, alerts: Alerts) -> None:
        self._rules = rules
        self._alerts = alerts

    async def ListAlertRules(
        self, request: pb.ListAlertRulesRequest, context: Context
    ) -> pb.ListAlertRulesResponse:
        page, token = page_by_name(request, await self._rules.all(), lambda rule: rule.id)
        return pb.ListAlertRulesResponse(rules=map(rule_to, page), next_page_token=token)

    async def GetAlertRule(
        self, request: pb.GetAlertRuleRequest, context: Context
    ) -> pb.GetAlertRuleResponse:
        return pb.GetAlertRuleResponse(rule=rule_to(await self._rules.get(requests.rule_id_in(request.name))))

    async def CreateAlertRule(
        self, request: pb.CreateAlertRuleRequest, context: Context
    ) -> pb.CreateAlertRuleResponse:
        faults = Faults()
        rule = new_rule_in(request.alert_rule, faults)
        once = once_in(request, faults, "CreateAlertRule")
        faults.raise_any()
        if request.validate_only:
            await self._rules.refuse_existing(rule.id)
            return pb.CreateAlertRuleResponse(
                rule=rule_to(rule), trial=trial_to(await self._rules.tried(rule))
            )
        made = await self._rules.create(rule, current_subject(), once)
        return pb.CreateAlertRuleResponse(rule=rule_to(made))

    async def UpdateAlertRule(
        self, request: pb.UpdateAlertRuleRequest, context: Context
    ) -> pb.UpdateAlertRuleResponse:
        faults, message = Faults(), request.alert_rule
        fields = mask_in(request, faults)
        faults.raise_any()
        rule_id = requests.rule_id_in(message.name, "alert_rule.name")
        if request.validate_only:
            changed = changed_rule(await self._rules.get(rule_id, message.etag), message, fields)
            trial = await self._rules.tried(changed)
            return pb.UpdateAlertRuleResponse(rule=rule_to(changed), trial=trial_to(trial))
        stored = await self._rules.change(
            rule_id, message.etag, current_subject(), lambda rule: changed_rule(rule, message, fields)
        )
        return pb.UpdateAlertRuleResponse(rule=rule_to(stored))

    async def DeleteAlertRule(
        self, request: pb.DeleteAlertRuleRequest, context: Context
    ) -> pb.DeleteAlertRuleResponse:
        standing = await self._rules.delete(requests.rule_id_in(request.name), request.etag)
        return pb.DeleteAlertRuleResponse(rule=None if standing is None else rule_to(standing))

    async def ListAlerts(self, request: pb.ListAlertsRequest, context: Context) -> pb.ListAlertsResponse:
        wanted, size = requests.filter_in(request), page_size(request.page_size)
        found = await self._alerts.list(wanted, requests.place_in(request.page_token), size + 1)
        token = next_page_token(found, size, lambda last: encode_place((last.fired_at, str(last.id))))
        return pb.ListAlertsResponse(alerts=map(alert_to, found[:size]), next_page_token=token)

    async def GetAlert(self, request: pb.GetAlertRequest, context: Context) -> pb.GetAlertResponse:
        alert, deliveries = await self._alerts.get(requests.alert_id_in(request.name))
        return pb.GetAlertResponse(alert=alert_to(alert, deliveries))

    async def AcknowledgeAlert(
        self, request: pb.AcknowledgeAlertRequest, context: Context
    ) -> pb.AcknowledgeAlertResponse:
        alert_id, note = requests.alert_id_in(request.name), requests.note_in(request)
        alert = await self._alerts.acknowledge(alert_id, current_subject(), note)
        return pb.AcknowledgeAlertResponse(alert=alert_to(alert))

    async def ListAlertSilences(
        self, request: pb.ListAlertSilencesRequest, context: Context
    ) -> pb.ListAlertSilencesResponse:
        size = page_size(request.page_size)
        found = await self._alerts.silences(requests.place_in(request.page_token), size + 1)
        token = next_page_token(found, size, requests.place_after_silence)
        return pb.ListAlertSilencesResponse(silences=map(silence_to, found[:size]), next_page_token=token)

    async def CreateAlertSilence(
        self, request: pb.CreateAlertSilenceRequest, context: Context
    ) -> pb.CreateAlertSilenceResponse:
        faults, now = Faults(), dt.datetime.now(dt.UTC)
        silence = requests.silence_in(request.alert_silence, current_subject(), faults, now)
        once = once_in(request, faults, "CreateAlertSilence")
        faults.raise_any()
        await self._alerts.refuse_unknown_rule(silence.rule)
        if not request.validate_only:
            silence = await self._alerts.silence(silence, once)
        count = self._alerts.count_of(silence)
        return pb.CreateAlertSilenceResponse(silence=silence_to(silence), alert_count=count)

    async def EndAlertSilence(
        self, request: pb.EndAlertSilenceRequest, context: Context
    ) -> pb.EndAlertSilenceResponse:
        silence = await self._alerts.end_silence(requests.silence_id_in(request.name))
        return pb.EndAlertSilenceResponse(silence=silence_to(silence))

    async def ListAlertChannels(
        self, request: pb.ListAlertChannelsRequest, context: Context
    ) -> pb.ListAlertChannelsResponse:
        channels = await self._alerts.channels()
        page, token = page_by_name(request, channels, lambda each: each[0].name)
        return pb.ListAlertChannelsResponse(
            channels=[channel_to(*each) for each in page], next_page_token=token
        )

    async def TestAlertChannel(
        self, request: pb.TestAlertChannelRequest, context: Context
    ) -> pb.TestAlertChannelResponse:
        error = await self._alerts.test(requests.channel_in(request.name))
        return pb.TestAlertChannelResponse(delivered=not error, error=error)
