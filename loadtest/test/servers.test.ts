import { createServer, type Server } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { Servers } from "../src/servers.ts";

let server: Server;
afterEach(() => server.close());

async function findWith(health: object): Promise<Servers> {
	server = createServer((_, response) => response.end(JSON.stringify(health)));
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return Servers.find(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
}

describe("the server's processes", () => {
	const shard = (id: number, pid: number) => ({ id, pid, connections: 0 });

	it("are those that /health names, without the balancer and the shards that are not there", async () => {
		const servers = await findWith({ shards: [shard(0, process.pid), shard(1, 0)], balancer: { pid: 0, status: "none" } });
		expect(servers.processes).toEqual([{ name: "shard 0", pid: process.pid }]);
		expect(servers.pssBytes()).toBeGreaterThan(0);
		expect(servers.cpuMs()).toBeGreaterThan(0);
	});

	it("begin with the balancer where there is one", async () => {
		const servers = await findWith({ shards: [shard(0, process.ppid)], balancer: { pid: process.pid, status: "healthy" } });
		expect(servers.processes.slice(-2)).toEqual([
			{ name: "balancer", pid: process.pid },
			{ name: "shard 0", pid: process.ppid },
		]);
	});

	it("are unknown where the pids mean nothing here, as those of a container do", async () => {
		const kernelThread = 2;
		expect((await findWith({ shards: [shard(0, process.pid), shard(1, kernelThread)] })).processes).toEqual([]);
		expect((await findWith({ shards: [shard(0, 2 ** 30)] })).processes).toEqual([]);
	});

	it("are unknown where /health is of another kind", async () => {
		expect((await findWith({ ok: true })).processes).toEqual([]);
	});
});
