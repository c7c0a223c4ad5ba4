import { EdgeNode } from "@shardcast/edge/nodes";
import { HeadParser, type Target, type TargetLink } from "@shardcast/relay";
import { type Scoreboard, ShardState } from "@shardcast/scoreboard";
import { beforeEach, describe, expect, it } from "vitest";
import { measureProxy } from "../../src/pick/candidate.ts";
import { PlacementKeys } from "../../src/pick/placement-keys.ts";
import { ShardTargets } from "../../src/proxy/shard-targets.ts";
import { AllShards } from "../../src/remote/all-shards.ts";
import { RemoteRow } from "../../src/remote/remote-row.ts";
import type { RemoteShards } from "../../src/remote/remote-shards.ts";
import { boardOf, clock, pickerOf, rules } from "../support/picker.ts";

const link = (token: string | null) => ({ token }) as TargetLink;
const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

let remote: RemoteRow;
let board: Scoreboard;
let targets: ShardTargets;
let failed: RemoteRow[];
beforeEach(() => {
	failed = [];
	const known = { id: "10.0.0.7:3005", host: "10.0.0.7", port: 3005, region: "", weight: 1000, told: null };
	const node = new EdgeNode(known, { toldForMs: 0, missesMax: 2 });
	node.onHealth({ isServing: true, isDraining: false, connections: 0, maxConnections: 1000, tookMs: 1 });
	remote = new RemoteRow(64, node);
	board = boardOf([1000]);
	const remotes = {
		rows: [remote],
		changes: 1,
		link: link(null),
		losesOne: false,
		look: (nowMs: number) => remote.look(nowMs),
		failed: (row: RemoteRow) => failed.push(row),
	};
	remote.look(performance.now());
	const picker = pickerOf(new AllShards(board, remotes) as unknown as Scoreboard, { measure: measureProxy, rules: rules(), dialingMax: 1 });
	const keys = new PlacementKeys({ ...rules(), lbAffinityFrom: [], rawTokenCookie: "", tokenUserIdClaim: "" });
	targets = new ShardTargets({ picker, keys, host: "127.0.0.1", link: link("token"), remotes: remotes as unknown as RemoteShards });
	targets.open();
});

function pick(line: string, headers: string, tried: readonly Target[] = []): Target | null {
	const bytes = Buffer.from(`${line} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
	const head = new HeadParser();
	head.parse(bytes, bytes.length);
	board.row(0).set("heartbeatMs", clock.nowMs);
	targets.look();
	return targets.pick({ head, bytes, address: () => "1.2.3.4", tried });
}

describe("why a request is refused", () => {
	const why = (line: string, headers: string, tried: readonly Target[] = []): string => {
		const bytes = Buffer.from(`${line} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
		const head = new HeadParser();
		head.parse(bytes, bytes.length);
		targets.look();
		return targets.refusal({ head, bytes, tried }, false).message;
	};

	it("one that stays here, for what the shards here do", () => {
		board.row(0).set("heartbeatMs", 0);
		expect(why("POST /api/publish", "Content-Length: 0\r\n")).toBe("none of the 1 shards that serve responds now");
		expect(why("GET /console/feed?token=x", upgrade)).toBe("none of the 1 shards that serve responds now");
		board.row(0).state = ShardState.dead;
		expect(why("POST /api/publish", "Content-Length: 0\r\n")).toBe("none of 1 shards serves now");
	});

	it("a WebSocket, for what those do that it was not offered to in vain", () => {
		const target = pick("GET /", upgrade)!;
		board.row(0).state = ShardState.dead;
		expect(why("GET /", upgrade)).toBe("the shards do not keep up with new connections");
		expect(why("GET /", upgrade, [target])).toBe("none of 1 shards serves now");
	});
});

describe("which requests go to a remote shard", () => {
	it("WebSockets of clients, without the token of this cluster", () => {
		const target = pick("GET /connection/websocket?user=ann", upgrade);
		expect([target?.host, target?.port, target?.link.token]).toEqual(["10.0.0.7", 3005, null]);
		expect(pick("GET /", upgrade)?.host).toBe("10.0.0.7");
	});

	it.each([
		["a publication", "POST /api/publish", "Content-Length: 0\r\n"],
		["an HTTP stream, whose requests must find their session", "GET /connection/sse", ""],
		["the console's feed", "GET /console/feed?token=x", upgrade],
		["what another machine has passed on", "GET /", `${upgrade}X-Shardcast-Passed-On: 1\r\n`],
	])("not %s: it stays here, or waits for a shard here", (_, line, headers) => {
		const target = pick(line, headers);
		expect([target?.host, target?.link.token]).toEqual(["127.0.0.1", "token"]);
		board.row(0).state = ShardState.dead;
		expect(pick(line, headers)).toBeNull();
	});

	it("one connection in the making is counted until it is made, fails or is given up", () => {
		for (const end of ["connected", "shun", "closed"] as const) {
			const target = pick("GET /", upgrade)!;
			target.count(1, 1);
			expect([remote.dialing, remote.proxiedOpen]).toEqual([1, 1]);
			expect(pick("GET /", upgrade)?.host, "no further one meanwhile").toBe("127.0.0.1");
			if (end === "connected") target.connected();
			else if (end === "shun") target.shun("unreached");
			target.count(-1, -1);
			expect([remote.dialing, remote.proxiedOpen], end).toEqual([0, 0]);
			clock.nowMs += 1000;
		}
		expect(remote.remote.assigned.connected).toBe(1);
		expect(failed).toEqual([remote]);
	});

	it("one that it could not take goes to a shard here, or waits for one, and never to the same one again", () => {
		const first = pick("GET /", upgrade)!;
		expect(first.host).toBe("10.0.0.7");
		first.unserved();
		expect(remote.unserved, "for the log").toBe(1);
		const second = pick("GET /", upgrade, [first])!;
		expect(second.host).toBe("127.0.0.1");
		board.row(0).state = ShardState.dead;
		expect(pick("GET /", upgrade, [first])).toBeNull();
	});

	it("while no shard that a connection may go to responds, it waits as long as if there were no others", () => {
		const areHeldUp = (headers: string, tried: readonly Target[] = []) => {
			const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
			const head = new HeadParser();
			head.parse(bytes, bytes.length);
			return targets.areHeldUp({ head, bytes, tried });
		};
		const first = pick("GET /", upgrade)!;
		expect([areHeldUp(""), areHeldUp(upgrade, [first])], "the shard here responds").toEqual([false, false]);
		clock.nowMs += 10_000;
		targets.look();
		expect(areHeldUp(upgrade), "the remote one responds").toBe(false);
		expect([areHeldUp(""), areHeldUp(`${upgrade}X-Shardcast-Passed-On: 1\r\n`), areHeldUp(upgrade, [first])]).toEqual([true, true, true]);
		board.row(0).state = ShardState.dead;
		targets.look();
		expect([areHeldUp(""), areHeldUp(upgrade, [first])], "it does not serve").toEqual([false, false]);
	});

	it("a connection to one that is lost stands still, so that another shard gets it", () => {
		const target = pick("GET /", upgrade)!;
		expect(target.isStandingStill).toBe(false);
		for (let miss = 0; miss < 2; miss++) remote.remote.onMiss("did not answer");
		expect(target.isStandingStill).toBe(true);
	});
});
