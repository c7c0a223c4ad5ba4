import { boardMetrics, Role, readBoard } from "@shardcast/scoreboard";
import { readValues } from "@shardcast/telemetry";
import { describe, expect, it } from "vitest";
import { CentrifugeRig } from "../../../support/centrifuge-rig.ts";

/** The value of a metric, as a scrape shows it. */
function shown(rig: CentrifugeRig, name: string, labels: Readonly<Record<string, string>>): number {
	rig.row.role = Role.shard;
	const metric = readValues(boardMetrics, readBoard(rig.board)).find((each) => each.name === name)!;
	const found = metric.values.find((value) => Object.entries(labels).every(([label, text]) => value.labels[label] === text));
	return found!.value;
}

describe("what clients of the Centrifuge protocol do is counted", () => {
	it("commands by method, also several in one frame", () => {
		const rig = new CentrifugeRig();
		const client = rig.connected();
		client.send(
			{ subscribe: { channel: "a" }, id: 2 },
			{ publish: { channel: "a", data: 1 }, id: 3 },
			{ publish: { channel: "a", data: 2 }, id: 4 },
			{ unsubscribe: { channel: "a" }, id: 5 },
		);
		const commands = ["connect", "subscribe", "publish", "unsubscribe", "history"];
		expect(commands.map((method) => shown(rig, "shardcast_commands_total", { method }))).toEqual([1, 1, 2, 1, 0]);
	});

	it("errors by code, with separate counters for subscribe", () => {
		const rig = new CentrifugeRig();
		const client = rig.connected();
		client.send({ subscribe: { channel: "none:a" }, id: 2 }, { history: { channel: "a" }, id: 3 });
		expect(client.replies()).toMatchObject([{ error: { code: 102 } }, { error: { code: 108 } }]);
		expect(shown(rig, "shardcast_subscribe_errors_total", { code: "102" })).toBe(1);
		expect(shown(rig, "shardcast_command_errors_total", { code: "108" })).toBe(1);
		expect(shown(rig, "shardcast_command_errors_total", { code: "102" })).toBe(0);
	});

	it("subscriptions by encoding, until they end or their client has disconnected", () => {
		const rig = new CentrifugeRig();
		const json = rig.connected();
		json.send({ subscribe: { channel: "a" }, id: 2 });
		const binary = rig.open("cf_protocol=protobuf");
		for (const channel of ["a", "b", "c"]) binary.session.subscribe(channel, 0, null);
		const subscriptions = (): number[] => {
			rig.endpoint.everySecond();
			return ["json", "protobuf"].map((protocol) => shown(rig, "shardcast_subscriptions", { protocol }));
		};
		expect(subscriptions()).toEqual([1, 3]);
		binary.session.unsubscribe("a");
		expect(subscriptions()).toEqual([1, 2]);
		binary.transport.peer.leave(1000);
		json.transport.peer.leave(1000);
		expect(subscriptions()).toEqual([0, 0]);
	});
});
