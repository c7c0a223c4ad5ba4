import { type Config, defaultConfig } from "@shardcast/config";
import { PostgresServer, postgresForTests, waitFor } from "@shardcast/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkPostgres } from "../src/index.ts";

describe.skipIf(!postgresForTests())("PostgreSQL at the start", () => {
	let server: PostgresServer;
	let client: Client;
	beforeAll(async () => {
		server = await PostgresServer.start();
		client = await server.connect();
	});
	afterAll(async () => {
		await client?.end();
		await server?.stop();
	});
	const configOf = (user: string, password: string, schema: string): Config =>
		defaultConfig({ postgresAddress: `postgres://${user}:${password}@127.0.0.1:${server.port}/postgres`, postgresSchema: schema });
	const started = async (config: Config) => {
		const lines: string[] = [];
		const problem = await checkPostgres(config, {
			info: (line) => lines.push(String(line)),
			error: (line) => lines.push(String(line)),
		}).then(
			() => null,
			(error: Error) => error.message,
		);
		return { problem, lines: lines.join("\n") };
	};

	it("a statement that is given up because others hold a lock does not end the start: another node may be creating the tables", async () => {
		await client.query(
			"CREATE ROLE hasty LOGIN PASSWORD 'hidden'; CREATE SCHEMA a AUTHORIZATION hasty; ALTER ROLE hasty SET statement_timeout = '2s'",
		);
		await client.query("SELECT pg_advisory_lock(hashtextextended('shardcast migrations a', 0))");
		const { problem, lines } = await started(configOf("hasty", "hidden", "a"));
		expect([problem, lines]).toEqual([
			null,
			expect.stringMatching(/canceling statement due to statement timeout; what needs it waits until it is/),
		]);
		await client.query("SELECT pg_advisory_unlock_all()");
		await waitFor(async () => (await started(configOf("hasty", "hidden", "a"))).lines.includes("schema a"), {
			deadlineMs: 20_000,
			what: "a start",
		});
	});

	it("a wrong password, a missing right and a name that is taken end it, and say why without the password", async () => {
		await client.query("CREATE ROLE weak LOGIN PASSWORD 'right'; CREATE SCHEMA b");
		for (const [config, why] of [
			[configOf("weak", "hidden-word", "b"), /refuses the login: password authentication failed for user "weak"/],
			[configOf("weak", "right", "b"), /permission denied for schema b/],
			[configOf("weak", "right", "nobodys"), /permission denied for database/],
		] as const) {
			const { problem, lines } = await started(config);
			expect(problem).toMatch(why);
			expect(`${problem} ${lines}`).not.toMatch(/hidden-word|right@|:right/);
		}
	});
});
