import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigInput, loadConfig } from "@shardcast/config";
import { ConfigReloader, noReloads } from "@shardcast/control";
import { AddressTable, type RateLimit } from "@shardcast/limits";
import { silentLog } from "@shardcast/telemetry";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createServer } from "../../src/library/server.ts";
import type { Feature } from "../../src/lifecycle/feature.ts";
import { Features } from "../../src/lifecycle/features.ts";
import { rawRequest } from "../support/raw-request.ts";
import { ShardParts } from "../support/shard-parts.ts";

let folder: string;
let input: ConfigInput;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "reload-"));
	input = { file: join(folder, "shardcast.yaml") };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (limits: string, more = "") => writeFileSync(input.file!, `limits: {${limits}}\n${more}`);

/** The features of a shard that have live options, in an order in which the one that can refuse is `place`. */
function setup(place: "first" | "last") {
	const { config } = loadConfig(input);
	const parts = new ShardParts(config);
	const { check, publish, raw, centrifuge, live, options } = parts;
	const others: Feature[] = [publish, raw, centrifuge];
	const features = new Features(place === "first" ? [check, ...others] : [...others, check], options);
	let running = config;
	const events: string[] = [];
	// As `Shard.reload` and the program around it do.
	const reloader = new ConfigReloader({
		command: "single",
		input,
		started: config,
		running: () => running,
		apply: (next) => {
			const [first, then] = [live.prepare(next), features.reload(next)];
			first();
			then();
			running = next;
		},
		counts: noReloads(),
		log: silentLog(),
		tell: (_level, text) => events.push(text),
	});
	/** What a client may send at once. */
	const allowed = <Client>(rate: RateLimit<Client>) => {
		const client = {} as Client;
		let count = 0;
		while (count < 1000 && rate.take(client, 0)) count++;
		rate.forget(client);
		return count;
	};
	const rates = () => [parts.rate.perSecond, allowed(raw.frames.rate), allowed(centrifuge.rate.limit), live.config.messageRate];
	const admits = () => "addressSlot" in check.admit(rawRequest(""));
	return { parts, reloader, rates, admits, events };
}

describe.each(["first", "last"] as const)("a reload that one feature refuses, the %s of them", (place) => {
	it("changes none of them; the next one applies everything that has changed since the start", () => {
		write("message_rate: 10");
		const { parts, reloader, rates, admits, events } = setup(place);
		const { openAddresses } = parts;
		parts.openAddresses = () => {
			throw new Error("too many open files");
		};
		write("message_rate: 20, max_connections_per_ip: 1, connection_rate: 1");
		expect(reloader.reload()).toBe("rejected");
		expect(events).toEqual(["configuration not reloaded: too many open files"]);
		expect(rates()).toEqual([10, 10, 10, 10]);
		for (let count = 0; count < 5; count++) expect(admits()).toBe(true);
		parts.openAddresses = openAddresses;
		write("message_rate: 30, max_connections_per_ip: 1");
		expect(reloader.reload()).toBe("applied");
		expect(rates()).toEqual([30, 30, 30, 30]);
		expect([admits(), admits()]).toEqual([true, false]);
	});
});

it("a server whose shard refuses new options also keeps its connection limit", async () => {
	write("max_connections: 100");
	const server = createServer({ ...loadConfig(input).config, addr: "127.0.0.1:0" }, { log: silentLog(), statusLine: false });
	const limit = async () => /^shardcast_connections_limit\S* (\d+)/m.exec(await server.control.metrics())?.[1];
	expect(await limit()).toBe("100");
	const open = vi.spyOn(AddressTable, "inMemory").mockImplementation(() => {
		throw new Error("no memory");
	});
	expect(() => server.control.reload({ maxConnections: 50, maxConnectionsPerIp: 2 })).toThrow("no memory");
	expect([await limit(), server.config.maxConnections]).toEqual(["100", 100]);
	open.mockRestore();
	server.control.reload({ maxConnections: 50, maxConnectionsPerIp: 2 });
	expect([await limit(), server.config.maxConnections]).toEqual(["50", 50]);
	await server.shutdown();
});

it("how long a server takes to stop is decided when it stops", () => {
	const server = createServer({ shutdownTimeoutMs: 1000 });
	server.control.reload({ shutdownTimeoutMs: 2000, drainDelayMs: 3000, failover: "immediate" });
	// `shutdown`, and the command `single`, take them from here.
	expect(server.config).toMatchObject({ shutdownTimeoutMs: 2000, drainDelayMs: 3000, failover: "immediate" });
});
