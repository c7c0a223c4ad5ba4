import { parsePostgresAddress } from "../../postgres/postgres-address.ts";
import type { Rule } from "./check.ts";
import { fileProblem } from "./file-problem.ts";

/** What must hold between the options of PostgreSQL and others. */
export const postgresRules: readonly Rule[] = [
	function caCanBeRead({ postgresAddress }, name) {
		const { tlsCa = "" } = postgresAddress === undefined ? {} : parsePostgresAddress(postgresAddress);
		const problem = tlsCa === "" ? null : fileProblem(tlsCa);
		return problem === null ? null : `${name("postgresAddress")}: sslrootcert: ${tlsCa} ${problem}`;
	},
	function outboxNeedsItsOwnOrder({ postgresAddress, kafkaBrokers, publishVia }, name) {
		if (postgresAddress === undefined || kafkaBrokers.length === 0 || publishVia !== "kafka") return null;
		return `${name("postgresAddress")}: messages through Kafka have no idempotency key, which the outbox needs; remove ${name("publishVia")}, or write to Kafka from your backend`;
	},
];
