-- The Zipf mix: 99 % reads of 20,000 users with exponent 1, 1 % feedback of the same users; or, with IN_TURN set, one read of
-- each user after the other, so that no run meets a user for the first time.
local inTurn, asked = os.getenv("IN_TURN"), 0
local users, items = 20000, 2000
local cumulative = {}
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
function init()
    math.randomseed(os.time() + id)
    local sum = 0
    for rank = 1, users do
        sum = sum + 1 / rank
        cumulative[rank] = sum
    end
end
local function user()
    local point = math.random() * cumulative[users]
    local low, high = 1, users
    while low < high do
        local middle = math.floor((low + high) / 2)
        if cumulative[middle] < point then low = middle + 1 else high = middle end
    end
    -- Neighbours in rank are no neighbours by name.
    return (low * 7919) % users + 1
end
local json = { ["Content-Type"] = "application/json" }
local function read(user) return wrk.format("GET", string.format("/v1/recommendations/u%06d?limit=20&explain=reason", user)) end
function request()
    if inTurn then
        asked = asked % users + 1
        return read(asked)
    end
    if math.random() < 0.01 then
        local body = string.format('{"user_id":"u%06d","item_id":"i%06d","type":"like"}', user(), math.random(1, items))
        return wrk.format("POST", "/v1/feedback", json, body)
    end
    return read(user())
end
