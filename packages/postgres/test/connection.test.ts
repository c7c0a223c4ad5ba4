import { parsePostgresAddress } from "@shardcast/config";
import { expect, it } from "vitest";
import { Connection } from "../src/connection.ts";

it("a file of a CA that is gone is named: it is read for each connection, so it may come back", async () => {
	const address = parsePostgresAddress("postgres://app:hunter2@127.0.0.1:1/app?sslmode=verify-full&sslrootcert=/nowhere/ca.pem");
	const options = { address, schema: "s", connectTimeoutMs: 1000, answerTimeoutMs: 1000, clientName: "test" };
	await expect(Connection.open(options)).rejects.toMatchObject({
		name: "PostgresError",
		kind: "unavailable",
		message:
			"PostgreSQL at postgres://127.0.0.1:1/app is not reached: sslrootcert: ENOENT: no such file or directory, open '/nowhere/ca.pem'",
	});
});
