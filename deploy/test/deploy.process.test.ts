import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { available, type Ended, run } from "./commands.ts";

interface Compose {
	readonly services: Readonly<Record<string, { readonly environment: Readonly<Record<string, string>> }>>;
}

const promtool = await available("promtool", "prometheus");
const dockerCompose = await available("docker-compose", "docker-compose");
const systemdAnalyze = await available("systemd-analyze", "systemd");

describe.skipIf(!promtool)("promtool", () => {
	it.each([
		["takes the configuration and the rules that it names", ["check", "config", "deploy/prometheus/prometheus.yml"]],
		["finds the alerts to fire when they must, and not before", ["test", "rules", "deploy/prometheus/rules.test.yml"]],
	])("%s", async (_, args) => {
		const { status, output } = await run("promtool", args);
		expect(output).toContain("SUCCESS");
		expect(output).not.toContain("FAILED");
		expect(status, output).toBe(0);
	});
});

describe.skipIf(!dockerCompose)("docker-compose", () => {
	it("takes docker-compose.multi.yml", async () => {
		const { status, output } = await run("docker-compose", ["-f", "docker-compose.multi.yml", "config", "--quiet"]);
		expect(status, output).toBe(0);
	});

	it("takes docker-compose.cluster.yml with its passwords, and without says which one is missing", async () => {
		const check = (env: Readonly<Record<string, string>>): Promise<Ended> =>
			run("docker-compose", ["-f", "docker-compose.cluster.yml", "config", "--quiet"], { env });
		const [complete, incomplete] = await Promise.all([
			check({ REDIS_PASSWORD: "r", POSTGRES_PASSWORD: "p" }),
			check({ REDIS_PASSWORD: "r", POSTGRES_PASSWORD: "" }),
		]);
		expect(complete).toEqual({ status: 0, output: "" });
		expect(incomplete.status).not.toBe(0);
		expect(incomplete.output).toContain("POSTGRES_PASSWORD");
	});
});

describe.skipIf(!systemdAnalyze)("systemd", () => {
	it("takes the unit of docs/how-to/operations.md", async () => {
		const unit = /^```ini [^\n]*\n(.*?)^```$/ms.exec(readFileSync("docs/how-to/operations.md", "utf8"))![1]!;
		const directory = mkdtempSync(join(tmpdir(), "shardcast-unit-"));
		try {
			const path = join(directory, "shardcast.service");
			writeFileSync(path, unit.replace("/usr/bin/node", process.execPath));
			const { status, output } = await run("systemd-analyze", ["verify", "--recursive-errors=no", path]);
			// An unknown key is only a line, not always a status.
			expect(output).toBe("");
			expect(status).toBe(0);
		} finally {
			rmSync(directory, { recursive: true });
		}
	});
});

describe.each([
	["docker-compose.multi.yml", "shardcast"],
	["docker-compose.cluster.yml", "n1"],
])("%s", (path, service) => {
	it("gives shardcast options that it takes", async () => {
		const file = parse(readFileSync(path, "utf8"), { merge: true }) as Compose;
		const options = Object.entries(file.services[service]!.environment).map(([name, value]) => [
			name,
			value.replace(/\$\{\w+:-([^}]*)\}/g, "$1").replace(/\$\{\w+:\?[^}]*\}/g, "0123456789abcdef"),
		]);
		expect(options.length).toBeGreaterThan(5);
		const { status, output } = await run(process.execPath, ["apps/supervisor/dist/main.js", "config", "check"], {
			env: Object.fromEntries(options),
		});
		expect(status, output).toBe(0);
	});
});

describe("deploy/healthcheck.mjs", () => {
	const check = (address: string, env = {}, ...args: string[]): Promise<Ended> =>
		run(process.execPath, ["deploy/healthcheck.mjs", ...args], { env: { SHARDCAST_LB_ADDR: address, ...env } });

	it.each([
		[200, { status: "healthy", reasons: [] }, 0],
		[200, { status: "degraded", reasons: ["shard 1: down, to be restarted"] }, 0],
		[503, { status: "unhealthy", reasons: ["no shard serves"] }, 1],
	])("/health answers %i %j: exit status %i", async (code, body, expected) => {
		const server = createServer((request, response) => {
			expect(request.url).toBe("/health");
			response.writeHead(code, { "Content-Type": "application/json", Connection: "close" }).end(JSON.stringify(body));
		});
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		try {
			const { status, output } = await check(`0.0.0.0:${(server.address() as AddressInfo).port}`);
			expect(status, output).toBe(expected);
			if (expected === 1) expect(output).toContain("unhealthy: no shard serves");
		} finally {
			server.close();
		}
	});

	it("begins with a PROXY header where one is demanded, and says why it is refused", async () => {
		const refused = JSON.stringify({ error: { code: "proxy_header", message: "a header is missing" } });
		const http = createServer((_, response) => response.writeHead(200, { Connection: "close" }).end("{}"));
		const server = createTcpServer((socket) => {
			socket.once("data", (piece: Buffer) => {
				const header = "PROXY UNKNOWN\r\n";
				if (!piece.toString().startsWith(header))
					return socket.end(`HTTP/1.1 400 Bad Request\r\nContent-Length: ${refused.length}\r\nConnection: close\r\n\r\n${refused}`);
				socket.unshift(piece.subarray(header.length));
				http.emit("connection", socket);
			});
		});
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const address = `:${(server.address() as AddressInfo).port}`;
		try {
			expect(await check(address, { SHARDCAST_PROXY_PROTOCOL: "true" })).toMatchObject({ status: 0 });
			const { status, output } = await check(address);
			expect(status).toBe(1);
			expect(output).toContain("proxy_header: a header is missing");
		} finally {
			server.close();
		}
	});

	it("asks for /ready where it is told to, and says why the answer is no", async () => {
		const server = createServer((request, response) => {
			expect(request.url).toBe("/ready");
			const body = JSON.stringify({ ready: false, reasons: ["the cluster is stopping"] });
			response.writeHead(503, { "Content-Type": "application/json", Connection: "close" }).end(body);
		});
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		try {
			const { status, output } = await check(`:${(server.address() as AddressInfo).port}`, {}, "/ready");
			expect(output).toContain("not ready: the cluster is stopping");
			expect(status).toBe(1);
		} finally {
			server.close();
		}
	});

	it("nobody answers: exit status 1, and why", async () => {
		const { status, output } = await check("127.0.0.1:1");
		expect(status).toBe(1);
		expect(output).toContain("no answer from 127.0.0.1:1: ");
	});
});
