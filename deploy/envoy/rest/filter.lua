-- What Envoy runs for each REST call, before it is transcoded: refuses what the contract does not have.
--
-- An error of this script itself would let the call pass, so it is caught and answered as INTERNAL.
local check = require("message")
local faults = require("faults")
local scan = require("scan")
local check_query = require("query")
local schema = require("contracts")(require("schema"))
local find = require("paths")(schema.routes)

-- As in deploy/envoy/replies.py, for requests that the gateway refuses elsewhere.
local TOO_LARGE = "the request is larger than the gateway takes; send it in parts"
local TYPE = "type.googleapis.com/google.rpc."

local function detail(kind, content)
  return '{"@type": "' .. TYPE .. kind .. '", ' .. content .. "}"
end

local function answer(code, reason, message, metadata, violations, request_id)
  local details = {
    detail("ErrorInfo", '"reason": "' .. reason .. '", "domain": "celeriac", "metadata": {' .. metadata .. "}"),
    detail("RequestInfo", '"request_id": ' .. scan.quoted(scan.readable(request_id or ""))),
  }
  if violations then
    details[3] = detail("BadRequest", '"field_violations": [' .. violations .. "]")
  end
  local listed = table.concat(details, ", ")
  return '{"code": ' .. code .. ', "message": ' .. scan.quoted(message) .. ', "details": [' .. listed .. "]}"
end

local function told_of(found, request_id)
  local messages, violations = {}, {}
  for i, fault in ipairs(found) do
    local description = fault.fault .. "; for example: " .. fault.example
    messages[i] = (fault.field == "" and "" or fault.field .. " ") .. description
    violations[i] = '{"field": ' .. scan.quoted(fault.field) .. ', "description": ' .. scan.quoted(description) .. "}"
  end
  local message = table.concat(messages, "; ")
  return answer(3, "MALFORMED_REQUEST", message, "", table.concat(violations, ", "), request_id)
end

local function told_of_text(fault, text, example, request_id)
  local line, column = scan.place(text, fault.at)
  local place = "line " .. line .. ", column " .. column
  local message = fault.what .. " (" .. place .. "); for example: " .. example
  local metadata = '"line": "' .. line .. '", "column": "' .. column .. '"'
  return answer(3, "MALFORMED_REQUEST", message, metadata, nil, request_id)
end

-- Checks the body; `route.body` says what of the request it is. Returns the body to pass on, nil if it is as it was.
local function check_body(text, route, bound, named, found)
  if route.body == "" then
    if text:find("[^ \t\r\n]") and not text:find("^[ \t\r\n]*{[ \t\r\n]*}[ \t\r\n]*$") then
      faults.add(found, "", "the body is not taken by this path: fields are its parameters", route.parameters)
    end
    return nil
  end
  local whole = route.body == "*"
  if whole then
    return check(text, route.message, nil, bound, named, found)
  end
  return check(text, route.body_message, route.body, bound, named, found)
end

-- Returns the path and the body to pass on, each nil if it is as it was.
local function check_call(call, body, found)
  local query, named = check_query(call.query, call.route, call.bound, found)
  local path = query and call.plain .. "?" .. query or nil
  if not body or body == "" then
    return path, nil
  end
  return path, check_body(body, call.route, call.bound, named, found)
end

-- The method that is called, as a request to be judged; nil if there is none.
function called(verb, path)
  local plain, query = path:match("^([^?]*)%??(.*)$")
  local route, bound = find(verb, plain)
  return route and {route = route, bound = bound, plain = plain, query = query}
end

-- Judges a request. Returns the status and body of a refusal; or nil, the path and the body to pass on, each nil if it
-- is as it was.
function judge(call, body, request_id)
  local route = call.route
  if body and #body > schema.most_bytes then
    return 413, answer(8, "REQUEST_TOO_LARGE", TOO_LARGE, "", nil, request_id)
  end
  local found = {}
  local done, new_path, new_body = pcall(check_call, call, body, found)
  if not done and new_path ~= faults.enough then
    local fault = new_path
    if type(fault) ~= "table" then
      error(fault, 0)
    end
    local message = route.body == "*" and route.message or route.body_message
    return 400, told_of_text(fault, body, message.example, request_id)
  elseif #found > 0 then
    return 400, told_of(found, request_id)
  end
  return nil, new_path, new_body
end

local function refuse(handle, status, body)
  handle:respond({[":status"] = tostring(status), ["content-type"] = "application/json"}, body)
end

local function fail(handle, fault, request_id)
  handle:logErr("rest.failed: " .. tostring(fault))
  refuse(handle, 500, answer(13, "INTERNAL", "an error of ours: the request could not be checked", "", nil, request_id))
end

-- Passes on what was judged. Envoy gives out the headers anew after the body has come: the ones before are not valid.
local function pass_on(handle, buffer, new_path, new_body)
  local headers = handle:headers()
  if new_path then
    headers:replace(":path", new_path)
  end
  if new_body then
    local length = buffer:setBytes(new_body)
    if headers:get("content-length") then
      headers:replace("content-length", length)
    end
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local request_id = headers:get("x-request-id")
  local done, call = pcall(called, headers:get(":method"), headers:get(":path"))
  if not done then
    return fail(handle, call, request_id)
  elseif not call or not (call.route.public or headers:get("authorization")) then
    -- Refused by what comes after this; nothing is kept of a caller who shows no token.
    return
  end
  -- It waits until all of the body has arrived.
  local buffer = handle:body(false)
  local body = buffer and buffer:getBytes(0, buffer:length())
  local done, status, new_path, new_body = pcall(judge, call, body, request_id)
  if not done then
    return fail(handle, status, request_id)
  elseif status then
    return refuse(handle, status, new_path)
  end
  local passed, fault = pcall(pass_on, handle, buffer, new_path, new_body)
  if not passed then
    return fail(handle, fault, request_id)
  end
end
