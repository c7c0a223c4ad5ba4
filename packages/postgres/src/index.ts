export { checkPostgres } from "./at-start.ts";
export type { Connection } from "./connection.ts";
export { PostgresLink } from "./link.ts";
export { Outbox, type OutboxParts } from "./outbox/outbox.ts";
export type { OutboxRow, RowResult } from "./outbox/outbox-row.ts";
export { PostgresError } from "./postgres-error.ts";
export { type PostgresOptions, postgresOptionsOf, quoted } from "./postgres-options.ts";
export { openRevocations } from "./revocations/open-revocations.ts";
