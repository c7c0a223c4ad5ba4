import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { freePorts, waitFor } from "@shardcast/testkit";
import { beforeAll, describe, expect, it } from "vitest";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { closing, leavesNothing } from "../support/leaves-nothing.ts";
import { linkRig, openBackend } from "../support/link-rig.ts";

// Its first call opens a socket that stays open.
beforeAll(() => freePorts());
leavesNothing();
const within = (what: string) => ({ what, deadlineMs: 20_000 });

/** A backend that is a process, for which the kernel takes two connections and no more while it stands still. */
async function standingStill(): Promise<{ readonly process: ChildProcess; readonly port: number }> {
	const program = `const server = require("node:net").createServer();
		server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => console.log(server.address().port));`;
	const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "ignore"] });
	closing(async () => {
		child.kill("SIGKILL");
		await once(child, "close");
	});
	const [line] = (await once(child.stdout!, "data")) as [Buffer];
	child.kill("SIGSTOP");
	return { process: child, port: Number(line) };
}

async function fill(port: number, connections: number): Promise<void> {
	for (let count = 0; count < connections; count++) {
		const socket: Socket = connect(port, "127.0.0.1");
		socket.on("error", () => {});
		closing(() => socket.destroy());
		await once(socket, "connect");
	}
}

describe("dialling a backend", () => {
	it.each([
		["neither", 2],
		["only one", 1],
	] as const)("ends after the dial timeout when %s of the connections is accepted, and is a failure", async (_, taken) => {
		const { process: backend, port } = await standingStill();
		await fill(port, taken);
		const rig = linkRig(port, { dialMs: 150 });
		const began = performance.now();
		rig.link.start();
		await waitFor(() => rig.link.counts.ends.dial_timeout >= 1, within("the timeout"));
		expect(performance.now() - began).toBeGreaterThanOrEqual(149);
		expect(rig.link.counts.failures).toBeGreaterThanOrEqual(1);
		expect(rig.states).toEqual([]);
		expect(rig.send(FrameClass.CONTROL, "control")).toBe("down");
		backend.kill("SIGCONT");
		await waitFor(() => rig.link.isUp, within("the link is up when the backend goes on"));
	});

	it("notices that a backend stands still while the link is up by its silence, and connects again when it goes on", async () => {
		const { process: backend, port } = await standingStill();
		backend.kill("SIGCONT");
		const rig = linkRig(port, { idleMs: 100, dialMs: 100 });
		await rig.up();
		backend.kill("SIGSTOP");
		await waitFor(() => rig.link.counts.ends.idle >= 1, within("the idle timeout"));
		expect(rig.states.slice(0, 2)).toEqual(["up", "down idle"]);
		backend.kill("SIGCONT");
		await waitFor(() => rig.link.counts.ups >= 2, within("the link is up again"));
	});

	it("can be stopped before it is connected", async () => {
		const { port } = await standingStill();
		await fill(port, 2);
		const rig = linkRig(port);
		rig.link.start();
		await waitFor(() => rig.link.counts.dials === 1, within("it dials"));
		rig.link.stop();
		rig.link.stop();
		expect(rig.states).toEqual([]);
		expect(rig.link.counts).toMatchObject({ failures: 0, ends: { stopped: 1 } });
	});

	it("does not dial while it is stopped, and begins again when it is started", async () => {
		const backend = await openBackend();
		const rig = linkRig(backend.port);
		await rig.up();
		rig.link.stop();
		expect(rig.link.isUp).toBe(false);
		await rig.up();
		expect(rig.link.counts).toMatchObject({ dials: 2, ups: 2, failures: 0, ends: { stopped: 1 } });
	});
});
