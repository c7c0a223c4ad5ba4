import { Script } from "@shardcast/redis";

/**
 * The keys of a channel: 1 its meta hash, 2 its stream, 3 one idempotency key. In the hash: `e` epoch, `s` offset of the last publication, `r` the
 * server that assigned it, `m` how long the hash is kept after its last use, `z` how many publications are kept, `f` the last removed
 * offset.
 *
 * A restarted or promoted server may lack the last acknowledged publications. So the channel gets a new epoch there, unless `trusts` is 1.
 */
const open = `
local function open(trusts, fresh, ttl)
  local e, s, r, m, z = unpack(redis.call('HMGET', KEYS[1], 'e', 's', 'r', 'm', 'z'))
  local run = redis.call('INFO', 'server'):match('run_id:(%x+)')
  if e and tonumber(s) and (r == run or trusts == '1') then return e, tonumber(s), run, m or ttl, tonumber(z) end
  -- First what a server without free memory refuses: it lets a script go on that has written something.
  redis.call('HSET', KEYS[1], 'e', fresh, 's', '0', 'r', run, 'f', '0')
  redis.call('DEL', KEYS[2])
  return fresh, 0, run, m or ttl, tonumber(z)
end
`;

/**
 * Arguments: trusts, new epoch, size, ttl, meta ttl, publication, pub/sub channel, ttl of the idempotency key ("" = it has none).
 * Answer: 1 = the key was used before, offset, epoch.
 */
export const publishScript = new Script(`${open}
local trusts, fresh, size, ttl, meta, publication, topic, key_ttl = unpack(ARGV)
if key_ttl ~= '' then
  local known = redis.call('GET', KEYS[3])
  if known then
    local offset, epoch = known:match('^(%d+) (.+)$')
    -- Another program may have written something else.
    if offset then return {1, offset, epoch} end
  end
end
local e, s, run = open(trusts, fresh, meta)
s = string.format('%.0f', s + 1)
redis.call('HSET', KEYS[1], 's', s, 'r', run, 'm', meta, 'z', size)
redis.call('PEXPIRE', KEYS[1], meta)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', size, s .. '-0', 'p', publication)
redis.call('PEXPIRE', KEYS[2], ttl)
if key_ttl ~= '' then redis.call('SET', KEYS[3], s .. ' ' .. e, 'PX', key_ttl) end
redis.call('SPUBLISH', topic, s .. ' ' .. e .. ' ' .. publication)
return {0, s, e}
`);

/**
 * Arguments: trusts, new epoch, meta ttl of a channel without one, epoch ("" = any), offset ("" = from the beginning, or the end), limit (-1 = none), reverse.
 * Answer: epoch, offset of the last publication, publications, last removed offset. Keeps the channel alive.
 */
export const readScript = new Script(`${open}
local trusts, fresh, meta, epoch, offset, limit, reverse = unpack(ARGV)
local e, s, _, ttl, z = open(trusts, fresh, meta)
-- A server that accepts no writes now can still be read.
redis.pcall('PEXPIRE', KEYS[1], ttl)
local last = string.format('%.0f', s)
local removed = redis.call('HGET', KEYS[1], 'f') or '0'
if limit == '0' or (epoch ~= '' and epoch ~= e) or not z then return {e, last, {}, removed} end
local lowest = s - z + 1
local highest = '+'
if offset ~= '' then
  if reverse == '1' then highest = '(' .. offset .. '-0'
  elseif tonumber(offset) + 1 > lowest then lowest = tonumber(offset) + 1 end
end
if lowest < 1 then lowest = 1 end
local low = string.format('%.0f', lowest) .. '-0'
local count = limit == '-1' and {} or {'COUNT', limit}
if reverse == '1' then return {e, last, redis.call('XREVRANGE', KEYS[2], highest, low, unpack(count)), removed} end
return {e, last, redis.call('XRANGE', KEYS[2], low, '+', unpack(count)), removed}
`);

/**
 * Arguments: trusts, new epoch, meta ttl of a channel without one, pub/sub channel. Removes the publications, and announces it to
 * followers of the channel with a negative offset.
 */
export const removeScript = new Script(`${open}
local trusts, fresh, meta, topic = unpack(ARGV)
local e, s, _, ttl = open(trusts, fresh, meta)
local last = string.format('%.0f', s)
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'f', last)
redis.call('PEXPIRE', KEYS[1], ttl)
redis.call('SPUBLISH', topic, '-' .. last .. ' ' .. e .. ' ')
return last
`);
