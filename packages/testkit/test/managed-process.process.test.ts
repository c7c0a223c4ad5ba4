import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ManagedProcess } from "../src/processes/managed-process.ts";
import { identify, isAlive } from "../src/processes/proc.ts";
import { waitFor } from "../src/wait.ts";

const program = join(import.meta.dirname, "programs/child.mjs");

describe("ManagedProcess", () => {
	it("collects output, passes the environment on without SHARDCAST_…, and reports the exit status", async () => {
		process.env.SHARDCAST_LEAK = "leaked";
		const child = await ManagedProcess.start(program, ["polite"], { env: { OF_THE_TEST: "told" } }).finally(() => {
			delete process.env.SHARDCAST_LEAK;
		});
		await child.waitForOutput(/polite clean told/, 5_000);
		expect(await child.stop()).toEqual({ code: 0, signal: null });
		expect(child.status()).toEqual({ code: 0, signal: null });
	});

	it("ends a wait at once, with the output, when the program ends", async () => {
		const child = await ManagedProcess.start(program, ["crash"]);
		await expect(child.waitForOutput(/never/, 60_000)).rejects.toThrow(/exit status 3[\s\S]*it broke/);
		expect(await child.exited).toEqual({ code: 3, signal: null });
	});

	it("finds the last words of a program that ends at once, whether it has ended or is about to", async () => {
		const child = await ManagedProcess.start(program, ["crash"]);
		expect((await child.waitForOutput(/it broke/, 5_000))[0]).toBe("it broke");
		await child.exited;
		expect((await child.waitForOutput(/it broke/, 5_000))[0]).toBe("it broke");
	});

	it("shows the output when a wait runs out", async () => {
		const child = await ManagedProcess.start(program, ["polite"]);
		await child.waitForOutput(/polite/, 5_000);
		await expect(child.waitForOutput(/never/, 50)).rejects.toThrow(/not within 50 ms[\s\S]*polite clean/);
		await child.stop();
	});

	it("kills what does not stop in time and says so", async () => {
		const child = await ManagedProcess.start(program, ["deaf"]);
		await child.waitForOutput(/deaf/, 5_000);
		await expect(child.stop("SIGTERM", 200)).rejects.toThrow(/after SIGTERM: not within 200 ms/);
		expect(await child.exited).toEqual({ code: null, signal: "SIGKILL" });
	});

	it("finds a child that is left behind, and ends it", { tags: ["long"] }, async () => {
		const child = await ManagedProcess.start(program, ["parent"]);
		const [, pid] = await child.waitForOutput(/orphan (\d+)/, 5_000);
		const orphan = identify(Number(pid));
		await expect(child.stop()).rejects.toThrow(`left: ${pid}`);
		await waitFor(() => !isAlive(orphan), { deadlineMs: 2_000, what: "the end of the orphan" });
	});

	it("does not let a program outlive the process that started it, even when that one is killed", async () => {
		const starter = await ManagedProcess.start(join(import.meta.dirname, "programs/starter.mjs"));
		const [, pid] = await starter.waitForOutput(/started (\d+)/, 10_000);
		const started = identify(Number(pid));
		starter.signal("SIGKILL");
		await waitFor(() => !isAlive(started), { deadlineMs: 5_000, what: "the end of the program that it had started" });
	});
});
