import { EventEmitter } from "node:events";
import { BalancerMode, ClusterState, Role, Scoreboard, ShardState } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";
import { chooseCluster } from "../src/top/running-clusters.ts";
import { takeSample } from "../src/top/sample.ts";
import { Screen, type Terminal } from "../src/top/screen.ts";
import { formatTable } from "../src/top/table.ts";

function board(): Scoreboard {
	const made = Scoreboard.inMemory(2);
	for (const slot of [0, 1]) {
		const row = made.row(slot);
		row.role = Role.shard;
		row.state = ShardState.serving;
		Object.assign(row, {
			pid: 100 + slot,
			port: 3002 + slot,
			core: slot === 0 ? 3 : -1,
			connections: 10 + slot,
			connectionsGiven: 6000,
			restarts: slot,
		});
		row.set("ringBytes", 1000);
		row.set("busDepthBytes", 250);
		row.set("residentBytes", 50 * 1_048_576);
		row.set("clientsBehind", 7);
		row.set("unreadBytes", 3 * 1_048_576);
	}
	made.clusterState = ClusterState.serving;
	Object.assign(made.balancer, { state: ShardState.serving, mode: BalancerMode.handoff, pid: 99, pending: 4 });
	return made;
}

describe("the table", () => {
	it("shows what happened per second between two samples", () => {
		const scoreboard = board();
		const before = { ...takeSample(scoreboard), atMs: 1000 };
		scoreboard.row(0).add("messagesIn", 200);
		scoreboard.row(0).add("deliveries", 4_000_000);
		scoreboard.row(0).add("cpuMs", 500);
		scoreboard.balancer.add("handedOff", 60);
		scoreboard.balancer.add("refusedBusy", 8);
		scoreboard.balancer.add("refusedHeadTimeout", 2);
		const lines = formatTable(before, { ...takeSample(scoreboard), atMs: 3000 });
		expect(lines[0]).toMatch(/serving {2}21 of 12000 connections, 100 messages\/s in, 2000\.0k deliveries\/s out/);
		expect(lines[2].trim().split(/ {2,}/)).toEqual([
			"SHARD",
			"PID",
			"CORE",
			"STATE",
			"CONNS",
			"MAX",
			"IN/S",
			"OUT/S",
			"CPU%",
			"LAG ms",
			"RSS",
			"SLOW",
			"UNREAD",
			"BUS DEPTH",
			"RESTARTS",
		]);
		expect(lines[3].trim().split(/\s+/)).toEqual("0 100 3 serving 10 6000 100 2000.0k 25.0 0.0 50M 7 3M 25% 0".split(" "));
		expect(lines[4].trim().split(/\s+/)).toEqual("1 101 - serving 11 6000 0 0 0.0 0.0 50M 7 3M 25% 1".split(" "));
		expect(lines[7].trim().split(/\s+/)).toEqual("99 serving handoff 4 0 30 0 5 0.0 0.0 0M".split(" "));
		// Columns are aligned.
		expect(new Set(lines.slice(2, 5).map((line) => line.length)).size).toBe(1);
	});

	it("calls the processes of a gateway by their name", () => {
		const scoreboard = board();
		for (const slot of [0, 1]) scoreboard.row(slot).port = 0;
		const sample = takeSample(scoreboard);
		expect(formatTable(sample, sample)[2]).toMatch(/^GATEWAY +PID/);
	});

	it("gives no rate for a counter that restarted, nor for a shard that was not there before", () => {
		const scoreboard = board();
		scoreboard.row(0).set("cpuMs", 9000);
		const before = { ...takeSample(scoreboard), atMs: 1000 };
		scoreboard.row(0).set("cpuMs", 100);
		scoreboard.row(1).set("messagesIn", 500);
		const lines = formatTable({ ...before, rows: before.rows.slice(0, 1) }, { ...takeSample(scoreboard), atMs: 2000 });
		expect(lines[3]).toMatch(/ 0\.0 +0\.0 /);
		expect(lines[4].trim().split(/\s+/)[6]).toBe("0");
	});
});

describe("the screen", () => {
	function terminal(size: { columns: number; rows: number }) {
		const written: string[] = [];
		const modes: boolean[] = [];
		const input = Object.assign(new EventEmitter(), {
			isTTY: true,
			setRawMode: (mode: boolean) => modes.push(mode),
			resume: () => undefined,
			pause: () => undefined,
		});
		const output = { write: (text: string) => written.push(text), ...size };
		return { written, modes, input, screen: new Screen({ input, output } as unknown as Terminal) };
	}

	it.each(["q", "Q", "\u0003", "\u001b"])("%j leaves", async (key) => {
		const { screen, input } = terminal({ columns: 80, rows: 24 });
		input.emit("data", Buffer.from("x"));
		input.emit("data", Buffer.from("\u001b[A"));
		let left = false;
		void screen.quit.then(() => {
			left = true;
		});
		await Promise.resolve();
		expect(left).toBe(false);
		input.emit("data", Buffer.from(key));
		await screen.quit;
	});

	it("gives the terminal back as it was, once", () => {
		const { screen, written, modes, input } = terminal({ columns: 80, rows: 24 });
		screen.leave();
		screen.leave();
		expect(written).toEqual(["\u001b[?1049h\u001b[?25l", "\u001b[?25h\u001b[?1049l"]);
		expect(modes).toEqual([true, false]);
		expect(input.listenerCount("data")).toBe(0);
	});

	it("cuts what does not fit, and bears a terminal that does not know its size", () => {
		const small = terminal({ columns: 3, rows: 2 });
		small.screen.draw(["abcdef", "b", "c"]);
		expect(small.written[1]).toBe("\u001b[Habc\u001b[K\r\nb\u001b[K\u001b[J");
		const unknown = terminal({ columns: 0, rows: 0 });
		unknown.screen.draw(["abcdef"]);
		expect(unknown.written[1]).toContain("abcdef");
	});
});

describe("which cluster", () => {
	const clusters = [11, 22].map((supervisorPid) => ({ supervisorPid, path: `/x/${supervisorPid}`, uid: 7, isOwn: true }));
	const own = (...found: typeof clusters) => ({ own: found, others: [] });

	it("takes the only one, or the one that was asked for", () => {
		expect(chooseCluster(own(clusters[0]!), "/x", undefined).path).toBe("/x/11");
		expect(chooseCluster(own(...clusters), "/x", "22").path).toBe("/x/22");
	});

	it("says what to do otherwise", () => {
		expect(() => chooseCluster(own(), "/x", undefined)).toThrow("no cluster runs in /x; start one with `shardcast multi`");
		expect(() => chooseCluster(own(...clusters), "/x", undefined)).toThrow("2 clusters run; choose one with --pid 11 or 22");
		expect(() => chooseCluster(own(...clusters), "/x", "7")).toThrow("--pid: no cluster has the supervisor 7; running: 11, 22");
	});

	it("says that a gateway of one process takes no orders", () => {
		const title = (pid: string) => (pid === "7" ? "shardcast gateway" : "shardcast gateway 0");
		expect(() => chooseCluster(own(...clusters), "/x", "7", title)).toThrow("--pid: the process 7 is a gateway without --shards: it takes");
		expect(() => chooseCluster(own(...clusters), "/x", "8", title)).toThrow("--pid: no cluster has the supervisor 8; running: 11, 22");
	});

	it("never takes another user's, but says who may look at it", () => {
		const others = [{ ...clusters[0]!, uid: 65_534, isOwn: false }];
		const who = "belongs to user 65534; look at it as that user, such as with sudo -u '#65534' shardcast top";
		expect(() => chooseCluster({ own: [], others }, "/x", undefined)).toThrow(`no cluster of this user runs in /x; one ${who}`);
		expect(() => chooseCluster({ own: [], others }, "/x", "11")).toThrow(`--pid: the cluster 11 ${who}`);
		expect(chooseCluster({ own: [clusters[1]!], others }, "/x", undefined).path).toBe("/x/22");
	});
});
