import { describe, expect, it } from "vitest";
import { ConfigError, configJson, formatConfig, loadConfig, parsePostgresAddress, postgresAddressText } from "../src/index.ts";

const problemsOf = (environment: Readonly<Record<string, string>>): string => {
	try {
		loadConfig({ environment });
	} catch (error) {
		if (error instanceof ConfigError) return error.message;
		throw error;
	}
	return "";
};

const plain = { host: "10.0.0.5", port: 5432, user: "app", password: "", database: "db", tlsMode: "disable", tlsCa: "" };

describe("an address of PostgreSQL", () => {
	it.each([
		["postgres://app@10.0.0.5/db", plain],
		["postgresql://app:p%40ss%3Aw@[::1]:6000/my%20db", { ...plain, host: "::1", port: 6000, password: "p@ss:w", database: "my db" }],
		[
			"postgres://app@db-1/db?sslmode=verify-full&sslrootcert=/etc/ca.pem",
			{ ...plain, host: "db-1", tlsMode: "verify-full", tlsCa: "/etc/ca.pem" },
		],
	])("%s is understood", (text, expected) => {
		expect(parsePostgresAddress(text)).toEqual(expected);
	});

	it.each([
		["mysql://app@a/db", "is not an address of PostgreSQL"],
		["postgres://app:hunter2@/db", "has no host"],
		["postgres://app:hunter2@a,b/db", "has several hosts"],
		["postgres://app:hunter2@a:70000/db", "has the port 70000"],
		["postgres://a/db", "has no user"],
		["postgres://app:hunter2@a", "has no database"],
		["postgres://app:hunter2@a/db?sslmode=prefer", "has an unknown sslmode; give one of disable, require, verify-full"],
		["postgres://app:hunter2@a/db?pool=3", 'has the parameter "pool"'],
		["postgres://app:hunter%et@a/db", "has a % that begins no character"],
		["postgres://app:123?hunter2@a/db", "has a / or ? before its @"],
		["postgres://app:1/hunter2@a/db", "has a / or ? before its @"],
	])("%s is refused without its password", (text, reason) => {
		let message = "";
		try {
			parsePostgresAddress(text);
		} catch (error) {
			message = (error as RangeError).message;
		}
		expect(message).toContain(reason);
		expect(message).not.toMatch(/hunter/);
	});

	it("is shown without user and password", () => {
		expect(postgresAddressText(parsePostgresAddress("postgres://app:hunter2@[::1]/db?sslmode=require"))).toBe("postgres://[::1]:5432/db");
	});
});

describe("options of PostgreSQL", () => {
	const url = "postgres://app:hunter2@a/db";

	it("the password is printed nowhere, the rest of the address is", () => {
		const loaded = loadConfig({ environment: { SHARDCAST_POSTGRES_URL: url } });
		expect(loaded.config.postgresAddress).toBe(url);
		expect(formatConfig(loaded)).toContain("# url: postgres://a:5432/db");
		expect(formatConfig(loaded) + configJson(loaded)).not.toContain("hunter2");
	});

	it("refuses names that need quotes, a CA that is not there, and messages through Kafka, which have no key", () => {
		expect(problemsOf({ SHARDCAST_POSTGRES_SCHEMA: 'a"b' })).toMatch(/SHARDCAST_POSTGRES_SCHEMA: .*lower-case letters/);
		expect(problemsOf({ SHARDCAST_POSTGRES_SCHEMA: "pg_mine" })).toMatch(/pg_/);
		expect(problemsOf({ SHARDCAST_POSTGRES_SCHEMA: "s".repeat(51) })).toMatch(/50 at most/);
		const ca = "?sslmode=verify-full&sslrootcert=/nowhere/ca.pem";
		expect(problemsOf({ SHARDCAST_POSTGRES_URL: url + ca })).toMatch(/sslrootcert: \/nowhere\/ca.pem does not exist/);
		const kafka = { SHARDCAST_KAFKA_BROKERS: "a:9092", SHARDCAST_PUBLISH_VIA: "kafka", SHARDCAST_KAFKA_PUBLISH_TOPIC: "t" };
		expect(problemsOf({ ...kafka, SHARDCAST_POSTGRES_URL: url })).toMatch(
			/SHARDCAST_POSTGRES_URL: messages through Kafka have no idempotency key/,
		);
		expect(problemsOf({ SHARDCAST_POSTGRES_URL: url, SHARDCAST_POSTGRES_SCHEMA: "s".repeat(50) }), "50 characters fit").toBe("");
	});

	it("is taken from POSTGRES_URL, and from the variable of shardcast rather than from that", () => {
		const short = { POSTGRES_URL: "postgres://app@a/db" };
		expect(loadConfig({ environment: short }).config.postgresAddress).toBe("postgres://app@a/db");
		const both = { ...short, SHARDCAST_POSTGRES_URL: "postgres://app@b/db" };
		expect(loadConfig({ environment: both }).config.postgresAddress).toBe("postgres://app@b/db");
		expect(problemsOf({ POSTGRES_URL: "postgres://app:hunter2@a" })).toMatch(/^POSTGRES_URL: (?!.*hunter2).*has no database/);
	});
});
