import { describe, expect, it } from "vitest";
import { retryMs } from "../src/connection.ts";
import { SentCommands } from "../src/sent-commands.ts";
import { readServerInfo } from "../src/server-info.ts";
import { WaitingCommands } from "../src/waiting-commands.ts";

describe("what a client of Redis consists of", () => {
	it("the pause before another attempt doubles from 50 ms up to 2 s, and is spread", () => {
		expect([0, 1, 2, 5, 6, 50].map((attempt) => retryMs(attempt, () => 1))).toEqual([50, 100, 200, 1600, 2000, 2000]);
		expect(retryMs(50, () => 0)).toBe(1000);
	});

	it("reads versions: Redis 7, Valkey; an older one and a cluster where none is expected are refused", () => {
		expect(readServerInfo("# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:abc\r\n", false)).toEqual({
			name: "redis",
			version: "7.0.15",
			runId: "abc",
			eviction: null,
		});
		const memory = (max: number, policy: string) =>
			readServerInfo(`redis_version:7.0.15\r\nmaxmemory:${max}\r\nmaxmemory_policy:${policy}\r\n`, true).eviction;
		expect([memory(0, "allkeys-lru"), memory(1, "noeviction"), memory(1, "volatile-ttl")]).toEqual([null, null, "volatile-ttl"]);
		expect(readServerInfo("server_name:valkey\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\n", true).name).toBe("valkey");
		expect(() => readServerInfo("redis_version:6.2.1\r\n", false)).toThrow(/6\.2\.1/);
		expect(() => readServerInfo("HTTP/1.1 400", false)).toThrow(/unknown/);
		expect(() => readServerInfo("redis_version:7.0.0\r\nredis_mode:cluster\r\n", false)).toThrow(/redis\+cluster/);
		expect(() => readServerInfo("redis_version:7.0.0\r\nrole:slave\r\n", false)).toThrow(/is a replica/);
		expect(readServerInfo("redis_version:7.0.0\r\nrole:slave\r\n", true).version, "of a cluster: the library chooses").toBe("7.0.0");
	});

	it("only so many commands wait; those whose time is over are given up, the others keep their order", () => {
		const waiting = new WaitingCommands(3);
		const log: string[] = [];
		const command = (name: string, endsMs: number) => ({
			endsMs,
			run: () => log.push(`run ${name}`),
			giveUp: () => log.push(`give up ${name}`),
		});
		expect(["a", "b", "c"].map((name, index) => waiting.add(command(name, 10 * (index + 1))))).toEqual([true, true, true]);
		expect(waiting.add(command("d", 50))).toBe(false);
		waiting.giveUp(20);
		expect(log).toEqual(["give up a", "give up b"]);
		waiting.add(command("e", 50));
		waiting.runAll();
		expect(log.slice(2)).toEqual(["run c", "run e"]);
		expect(waiting.size).toBe(0);
	});

	it("finds what was sent too long ago, also among many that are answered", () => {
		const sent = new SentCommands();
		const givenUp: number[] = [];
		const commands = Array.from({ length: 5000 }, (_, sentMs) => ({ sentMs, done: false, giveUp: () => givenUp.push(sentMs) }));
		for (const command of commands) sent.add(command);
		for (const command of commands) command.done = command.sentMs !== 2500 && command.sentMs !== 4000;
		expect(sent.giveUpBefore(2500)).toBe(false);
		expect(sent.giveUpBefore(2501)).toBe(true);
		expect(givenUp).toEqual([2500]);
		expect(sent.giveUpBefore(Number.POSITIVE_INFINITY)).toBe(true);
		expect(givenUp).toEqual([2500, 4000]);
		expect(sent.giveUpBefore(Number.POSITIVE_INFINITY)).toBe(false);
	});
});
