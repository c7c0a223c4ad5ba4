import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import type { FromChild, ToChild } from "../src/messages.ts";

const program = fileURLToPath(new URL("./programs/child.mjs", import.meta.url));
let child: ChildProcess | null = null;
afterEach(() => {
	child?.kill("SIGKILL");
	child = null;
});

/** A child that serves, and what it has said. */
async function serving() {
	const said: FromChild[] = [];
	const process = fork(program, { execArgv: [] });
	child = process;
	await once(process, "message");
	process.on("message", (message) => said.push(message as FromChild));
	const tell = (message: ToChild) => void process.send(message);
	const heard = async <T extends FromChild["type"]>(type: T, count = 1) => {
		const found = () => said.filter((message): message is Extract<FromChild, { type: T }> => message.type === type);
		await waitFor(() => found().length >= count || process.exitCode !== null, { deadlineMs: 5000, what: `"${type}" from the child` });
		return found();
	};
	tell({ type: "start" } as ToChild);
	await heard("ready");
	return { process, tell, heard, said };
}

describe("a child of the supervisor", () => {
	it("reports a reload that fails, and goes on", async () => {
		const { process, tell, heard, said } = await serving();
		tell({ type: "config", config: {} } as ToChild);
		tell({ type: "reloadRoute" });
		const reports = await heard("notReloaded", 2);
		expect(reports.map(({ message }) => message)).toEqual([
			expect.stringContaining("no more files"),
			expect.stringContaining("no more files"),
		]);
		expect(said.filter(({ type }) => type === "fatal")).toEqual([]);
		expect(process.exitCode).toBe(null);
	});

	it("puts equal questions once, so that many scrapes at a time all get the answer", async () => {
		const { process, tell, heard } = await serving();
		const answers: { id: number; question: string }[] = [];
		process.on("message", (message: FromChild) => {
			if (message.type !== "ask") return;
			answers.push(message);
			tell({ type: "answer", id: message.id, reply: { data: "sunny" } });
		});
		tell({ type: "request", id: 1, question: "ask", request: null });
		const [{ reply }] = await heard("reply");
		// No more than 64 different ones wait.
		expect(reply).toEqual({ data: { equal: 40, different: 64 } });
		expect(answers).toHaveLength(1 + 64);
	});
});
