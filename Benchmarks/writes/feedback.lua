-- Purchases, each an event of its own, of users and items in turn; over one connection or many.
local thread = 0
function setup(t) thread = thread + 1; t:set("id", thread) end
function init()
    math.randomseed(os.time() + id)
    prefix = string.format("w%d-%d-", os.time(), id)
    count = 0
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    if os.getenv("APP_KEY") then wrk.headers["Authorization"] = "Bearer " .. os.getenv("APP_KEY") end
end
function request()
    count = count + 1
    local body = string.format(
        '{"event_id":"%s%d","user_id":"u%06d","item_id":"i%06d","type":"purchase"}',
        prefix, count, math.random(1, 20000), math.random(1, 2000))
    return wrk.format(nil, "/v1/feedback", nil, body)
end
local failed = 0
function response(status) if status ~= 200 then failed = failed + 1 end end
