export { type AddressKey, addressKey, addressKeyOf, addressText } from "./address-key.ts";
export { AddressTable } from "./address-table.ts";
export { ConnectionBuckets, type RatedCommand, RatePlan } from "./command-rates.ts";
export { type ConnectionRateConfig, ConnectionRates } from "./connection-rates.ts";
export { type ConnectionLimit, LimitAudit } from "./limit-audit.ts";
export { RateLimit } from "./rate-limit.ts";
export { RateKind, RateTable } from "./rate-table.ts";
export { TokenBucket } from "./token-bucket.ts";
