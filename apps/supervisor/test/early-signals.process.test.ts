import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { optionOf } from "@shardcast/config";
import { ManagedProcess, waitFor } from "@shardcast/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";

const root = join(import.meta.dirname, "../../..");
const main = join(root, "apps/supervisor/dist/main.js");
let folder: string;
let pipe: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "early-"));
	pipe = join(folder, "pipe");
	execFileSync("mkfifo", [pipe]);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The writing end of the pipe, once a program reads it. */
async function readBy(): Promise<number> {
	let file: number | null = null;
	const tryToOpen = (): boolean => {
		try {
			file = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
		} catch (error) {
			// Nobody reads yet.
			if ((error as NodeJS.ErrnoException).code !== "ENXIO") throw error;
		}
		return file !== null;
	};
	await waitFor(tryToOpen, { deadlineMs: 20_000, what: "the program reads the pipe" });
	return file!;
}

const serving = {
	multi: "cluster: {shards: 1}\nbalancer: {address: 127.0.0.1:0}\n",
	single: "single: {address: 127.0.0.1:0}\n",
	edge: "edge: {address: 127.0.0.1:0, nodes: [127.0.0.1:1]}\n",
	gateway: "gateway: {address: 127.0.0.1:0, backends: [127.0.0.1:1]}\n",
};

const isLong = (name: string) => !["multi", "shard"].includes(name);

for (const [command, options] of Object.entries(serving))
	it(`${command} keeps a SIGHUP that comes before it has read its options, and reloads later`, {
		tags: isLong(command) ? ["long"] : [],
	}, async () => {
		const program = await ManagedProcess.start(main, [command, "--config", pipe, "--log-format", "json"], { env: {} });
		try {
			const file = await readBy();
			process.kill(program.pid, "SIGHUP");
			writeSync(file, options);
			closeSync(file);
			// So it has been read before, and the signal has come after that.
			await program.waitForOutput(/configuration not reloaded[^"]*: is not a regular file, so it can't be read again/, 20_000);
			await program.waitForOutput(/ws:\/\/127\.0\.0\.1|shardcast serves|serves/, 20_000);
		} finally {
			await program.stop();
		}
	});

it("these are all commands that serve", () => {
	expect(optionOf("logLevel").commands).toEqual(Object.keys(serving));
});

for (const app of ["shard", "gateway", "balancer"])
	it(`a process that the supervisor starts ignores signals while it loads its program: ${app}`, {
		tags: isLong(app) ? ["long"] : [],
	}, async () => {
		// Waits where a program loads the rest of itself.
		const hooks = `import { readFile } from "node:fs/promises";
let waited = null;
export async function resolve(name, context, next) {
	if (name === "@shardcast/control") await (waited ??= readFile(${JSON.stringify(pipe)}));
	return next(name, context);
}`;
		const dataUrl = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`;
		const register = `import { register } from "node:module"; register(${JSON.stringify(dataUrl(hooks))});`;
		const child = fork(join(root, `apps/${app}/dist/main.js`), { execArgv: ["--import", dataUrl(register)], stdio: "inherit" });
		const ended = once(child, "exit");
		try {
			const file = await readBy();
			for (const signal of ["SIGHUP", "SIGTERM", "SIGINT"] as const) child.kill(signal);
			closeSync(file);
			// It goes on, and ends with its parent's end of the channel.
			child.disconnect();
			expect(await ended).toEqual([0, null]);
		} finally {
			child.kill("SIGKILL");
		}
	});
