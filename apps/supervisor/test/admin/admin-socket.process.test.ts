import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adminBodyBytesMax, adminRoutes, Router } from "@shardcast/http";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AdminClient, AnsweredError, socketEndpoint, Unreachable } from "../../src/admin/client/admin-client.ts";
import { runVerb } from "../../src/admin/client/run-verb.ts";
import { AdminSocket } from "../../src/admin/socket/admin-socket.ts";
import { connectionsMax } from "../../src/admin/socket/connection-room.ts";
import { unixPeer, withName } from "../../src/admin/socket/peer.ts";
import { serveHttp } from "../../src/admin/socket/serve-http.ts";
import { fakeService } from "./support.ts";

let folder: string;
let path: string;
const open: AdminSocket[] = [];
/** Whose connections were closed for want of room. */
const noRoom: string[] = [];
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "admin-"));
	path = join(folder, "admin.sock");
});
afterEach(() => {
	for (const socket of open.splice(0)) socket.close();
	noRoom.length = 0;
	rmSync(folder, { recursive: true });
});

const server = (handle: Parameters<typeof adminRoutes>[0]["answer"], seen: string[]): Server =>
	serveHttp({
		router: new Router(
			adminRoutes({
				admit: (request) => {
					const who = withName(request.address, request.header("x-shardcast-operator"));
					seen.push(who);
					return who;
				},
				answer: handle,
				waitMsMax: 10_000,
			}),
			{ allowedOrigins: new Set() },
		),
		peerOf: unixPeer,
		onNoRoom: (peer) => void noRoom.push(peer),
		onError: (error) => expect.fail(String(error)),
	});

async function listen(at = path, seen: string[] = []): Promise<AdminSocket> {
	const { service } = fakeService();
	const socket = await AdminSocket.listen(
		server((call) => service.handle(call), seen),
		at,
		"--admin-socket",
	);
	open.push(socket);
	return socket;
}

/** A socket that a killed process has left. */
async function leaveStale(): Promise<void> {
	const code = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
	await once(spawn(process.execPath, ["-e", code]), "exit");
	expect(lstatSync(path).isSocket()).toBe(true);
}

/** Sends bytes as they are, and resolves with all that comes back until the end. */
async function exchange(bytes: string): Promise<string> {
	const socket = connect(path);
	let answer = "";
	socket.on("data", (piece) => {
		answer += piece;
	});
	// The server may close before it has read all.
	socket.on("error", () => {});
	socket.write(bytes);
	await once(socket, "close", { signal: AbortSignal.timeout(10_000) });
	return answer;
}

describe("the admin socket", () => {
	it("is for its user only, whatever the umask, and is gone when it is closed", async () => {
		const before = process.umask(0);
		const socket = await listen().finally(() => process.umask(before));
		expect(statSync(path).mode & 0o777).toBe(0o600);
		socket.close();
		expect(readdirSync(folder)).toEqual([]);
	});

	it("takes the place of one that a killed process has left", async () => {
		await leaveStale();
		await listen();
		expect((await new AdminClient(socketEndpoint(path)).run("status", {})).verb).toBe("status");
		expect(readdirSync(folder)).toEqual(["admin.sock"]);
	});

	it("takes a command for which sudo names a user outside of ASCII", async () => {
		await listen();
		vi.stubEnv("SUDO_USER", "Ωμέγα");
		try {
			expect((await new AdminClient(socketEndpoint(path)).run("status", {})).verb).toBe("status");
		} finally {
			vi.unstubAllEnvs();
		}
	});

	it("does not take the place of one that answers, which goes on", async () => {
		await listen();
		await expect(listen()).rejects.toThrow(
			`--admin-socket: another process listens on ${path}; stop it, or give each cluster another path`,
		);
		expect((await new AdminClient(socketEndpoint(path)).run("status", {})).verb).toBe("status");
		expect(readdirSync(folder)).toEqual(["admin.sock"]);
	});

	it("of two that find a dead one at the same time, one gets the path and the other is refused", async () => {
		await leaveStale();
		const results = await Promise.allSettled([listen(), listen()]);
		expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
		expect((await new AdminClient(socketEndpoint(path)).run("status", {})).verb).toBe("status");
	});

	it("that another process has made meanwhile at the same path stays there when the first is closed", async () => {
		const first = await listen();
		rmSync(path);
		await listen();
		first.close();
		expect((await new AdminClient(socketEndpoint(path)).run("status", {})).verb).toBe("status");
		expect(readdirSync(folder)).toEqual(["admin.sock"]);
	});

	it("does not remove what is no socket, and names a folder that does not exist", async () => {
		writeFileSync(path, "mine");
		await expect(listen()).rejects.toThrow(`${path} exists and is not a socket`);
		expect(statSync(path).size).toBe(4);
		await expect(listen(join(folder, "no", "admin.sock"))).rejects.toThrow("make its folder first");
		symlinkSync(join(folder, "away"), join(folder, "link"));
		await expect(listen(join(folder, "link"))).rejects.toThrow("is not a socket");
	});

	it("is not made in a folder where everybody may replace it, only with the sticky bit", async () => {
		chmodSync(folder, 0o777);
		await expect(listen()).rejects.toThrow(`every user may replace files in ${folder}; give a path in a folder of this user`);
		expect(readdirSync(folder)).toEqual([]);
		chmodSync(folder, 0o1777);
		await listen();
	});

	it("knows who has connected; the name that the caller gives itself is only added", async () => {
		const seen: string[] = [];
		await listen(path, seen);
		await new AdminClient({
			...socketEndpoint(path),
			options: { socketPath: path, headers: { "x-shardcast-operator": "a\tnn (root)" } },
		}).run("status", {});
		expect(seen).toEqual([`annroot (user ${process.getuid!()}, pid ${process.pid})`]);
	});

	it("answers 413 to a body that is too long, announced or not, 404 and 405 to what it does not have, and stays usable", async () => {
		await listen();
		const long = "x".repeat(adminBodyBytesMax + 1);
		const head = "POST /admin/v1/run HTTP/1.1\r\nHost: x\r\n";
		expect(await exchange(`${head}Content-Length: ${long.length}\r\n\r\n${long}`)).toMatch(
			/^HTTP\/1\.1 413 [\s\S]*the body is longer than 16384 bytes/,
		);
		const chunked = `${long.length.toString(16)}\r\n${long}\r\n0\r\n\r\n`;
		expect(await exchange(`${head}Transfer-Encoding: chunked\r\n\r\n${chunked}`)).toMatch(/^HTTP\/1\.1 413 /);
		expect(await exchange("GET /admin/v1/run HTTP/1.1\r\nHost: x\r\n\r\n")).toMatch(/^HTTP\/1\.1 405 /);
		expect(await exchange("GET /admin/v2/run HTTP/1.1\r\nHost: x\r\n\r\n")).toMatch(/^HTTP\/1\.1 404 /);
		expect(await exchange(`GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
		expect((await new AdminClient(socketEndpoint(path)).run("status", {})).verb).toBe("status");
	});
});

describe("connections on which no whole request comes", () => {
	it("keep no command out: the oldest makes room, and who had it is told", async () => {
		await listen();
		const pieces = ["", "POST /admin/v1/run HTT", "POST /admin/v1/run HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"];
		const waiting = Array.from({ length: connectionsMax }, () => connect(path));
		try {
			await Promise.all(
				waiting.map(async (socket, index) => {
					await once(socket, "connect");
					socket.write(pieces[index % pieces.length]!);
				}),
			);
			const closed = once(waiting[0]!.resume(), "close");
			expect((await new AdminClient(socketEndpoint(path)).run("status", {})).verb).toBe("status");
			await closed;
			expect(noRoom).toEqual([`user ${process.getuid!()}, pid ${process.pid}`]);
			expect(waiting.filter(({ destroyed }) => destroyed)).toHaveLength(1);
		} finally {
			for (const socket of waiting) socket.destroy();
		}
	});
});

describe("a command", () => {
	function heard() {
		const events: object[] = [];
		const output = {
			event: async (event: object) => void events.push(event),
			note: (text: string) => void events.push({ note: text }),
			end: async (end: object) => void events.push(end),
		};
		const run = (verb: string, args = {}, { version = "1.2.3", at = path, interrupted = new AbortController().signal } = {}) =>
			runVerb({ endpoint: socketEndpoint(at), verb, args, output, version, interrupted });
		return { events, run };
	}

	it("exits with 0 when it is done, and notes another version of the cluster", async () => {
		await listen();
		const { events, run } = heard();
		expect(await run("status", {}, { version: "9.0.0" })).toBe(0);
		expect(events[0]).toEqual({ note: "the cluster runs version 1.2.3, and this command is of version 9.0.0" });
		expect(events.at(-1)).toMatchObject({ outcome: "done" });
	});

	it("exits with 3 when it is refused, which includes a verb that the cluster does not know", async () => {
		await listen();
		const { events, run } = heard();
		expect(await run("cancel")).toBe(3);
		expect(await run("defragment")).toBe(3);
		expect(events.at(-1)).toMatchObject({ outcome: "refused", reason: expect.stringContaining("(shardcast 1.2.3) does not know") });
	});

	it("exits with 2 when an argument is wrong", async () => {
		await listen();
		const { events, run } = heard();
		expect(await run("log-level", { level: "loud" })).toBe(2);
		expect(events.at(-1)).toMatchObject({ outcome: "invalid", reason: expect.stringContaining('log-level: level: "loud" is not one of') });
	});

	it("exits with 4 and names path and fix when nobody listens, or something else does", async () => {
		const { events, run } = heard();
		expect(await run("status")).toBe(4);
		expect(events.at(-1)).toMatchObject({
			reason: expect.stringContaining(`there is no socket ${path}: no cluster runs with it; start one`),
		});
		await leaveStale();
		expect(await run("status")).toBe(4);
		expect(events.at(-1)).toMatchObject({ reason: expect.stringContaining(`nobody listens on ${path}: its supervisor was killed`) });
		rmSync(path);
		const other = serveHttp({
			router: new Router(
				[
					{
						kind: "answer",
						method: "POST",
						path: "/admin/v1/run",
						answer: () => ({ status: 200, body: "hello", headers: {}, close: true }),
					},
				],
				{
					allowedOrigins: new Set(),
				},
			),
			peerOf: () => "",
			onNoRoom: () => {},
			onError: () => {},
		});
		open.push(await AdminSocket.listen(other, path, "--admin-socket"));
		await expect(new AdminClient(socketEndpoint(path)).run("status", {})).rejects.toThrow(AnsweredError);
		await expect(new AdminClient(socketEndpoint(path)).run("status", {})).rejects.toThrow(
			"but not as the admin interface of this version does",
		);
	});

	it.skipIf(process.getuid!() !== 0)("of another user is told to run as the user of the cluster", async () => {
		await listen();
		process.seteuid!(65_534);
		try {
			const error = await new AdminClient(socketEndpoint(path)).run("status", {}).catch((caught: unknown) => caught);
			expect(error).toBeInstanceOf(Unreachable);
			expect((error as Error).message).toContain("run the command as the user of the cluster, or as root");
		} finally {
			process.seteuid!(0);
		}
	});
});
