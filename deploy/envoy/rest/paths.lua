-- Finds the method that a path belongs to, as the transcoder does after this.
local function decoded(text)
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

local function split(path)
  local segments = {}
  for segment in path:gmatch("/([^/]*)") do
    segments[#segments + 1] = segment
  end
  -- The transcoder takes "/v1/schedules/" for "/v1/schedules".
  if segments[#segments] == "" then
    segments[#segments] = nil
  end
  return segments
end

local function matches(route, segments)
  for i, wanted in ipairs(route.segments) do
    if wanted ~= "*" and wanted ~= segments[i] then
      return false
    end
  end
  return true
end

-- What the path says of the request's fields: "schedule.name" is "schedules/nightly".
local function bound_by(route, segments)
  local bound
  for _, variable in ipairs(route.variables) do
    local parts = {}
    for i = variable.first, variable.last do
      parts[#parts + 1] = decoded(segments[i])
    end
    bound = bound or {}
    bound[variable.field] = table.concat(parts, "/")
  end
  return bound
end

-- Of the routes, in the order in which they are tried: a function (verb, path) that returns the route and what the
-- path binds, or nil if no method has the path.
return function(routes)
  local by_shape, suffixes = {}, {}
  for _, route in ipairs(routes) do
    local shape = route.verb .. #route.segments .. route.suffix
    by_shape[shape] = by_shape[shape] or {}
    table.insert(by_shape[shape], route)
    suffixes[route.suffix] = true
  end
  return function(verb, path)
    local segments = split(path)
    local last = segments[#segments]
    if not last then
      return nil
    end
    local rest, suffix = last:match("^(.*):([^:]*)$")
    if suffix and suffix ~= "" and suffixes[suffix] then
      segments[#segments] = rest
    else
      suffix = ""
    end
    for _, route in ipairs(by_shape[verb .. #segments .. suffix] or {}) do
      if matches(route, segments) then
        return route, bound_by(route, segments)
      end
    end
    return nil
  end
end
