import type { BackendPlace } from "@shardcast/control";
import { silentLog } from "@shardcast/telemetry";
import { describe, expect, it } from "vitest";
import { BackendDirectory } from "../../src/cluster/backend-directory.ts";

function directory({ slots = [0, 1, 2], backendsMax = 64 } = {}) {
	const told: (readonly BackendPlace[])[] = [];
	const made = new BackendDirectory({ slots, backendsMax, log: silentLog(), onChange: (places) => void told.push(places) });
	/** "id owner" of each. */
	const owners = () => made.places.map(({ id, owner }) => `${id} ${owner}`);
	return { made, told, owners };
}

const hosts = (count: number) => Array.from({ length: count }, (_, index) => `10.0.0.${index + 1}:9001`);

describe("the directory of backends", () => {
	it("gives a new backend to the process with the fewest, and leaves it there", () => {
		const { made, told, owners } = directory();
		made.useStatic(hosts(4));
		expect(owners()).toEqual(["1 0", "2 1", "3 2", "4 0"]);
		made.add({ host: "10.0.0.9", port: 1, name: "camera" }, "discovered");
		expect(owners().at(-1)).toBe("5 1");
		expect(told.length).toBe(2);
		expect(told[1]).toBe(told.at(-1));
		expect(told[1]!.at(-1)).toEqual({
			...{ id: 5, host: "10.0.0.9", port: 1, address: "10.0.0.9:1", name: "camera", origins: ["discovered"], owner: 1 },
		});
	});

	it("gives those of a process that died to the others at once, and none of them back", () => {
		const { made, told, owners } = directory();
		made.useStatic(hosts(6));
		made.processDied(1);
		expect(owners()).toEqual(["1 0", "2 0", "3 2", "4 0", "5 2", "6 2"]);
		expect(told.length).toBe(2);
		made.processServes(1);
		expect(told.length).toBe(2);
		made.useStatic(hosts(7));
		expect(owners().at(-1)).toBe("7 1");
	});

	it("while all are dead, leaves them until one serves, which takes all", () => {
		const { made, owners } = directory({ slots: [0, 1] });
		made.useStatic(hosts(2));
		made.processDied(0);
		made.processDied(1);
		expect(owners()).toEqual(["1 1", "2 1"]);
		made.processServes(0);
		expect(owners()).toEqual(["1 0", "2 0"]);
		made.processServes(1);
		expect(owners()).toEqual(["1 0", "2 0"]);
	});

	it("keeps a backend that is known from elsewhere, and tells of a new name only once", () => {
		const { made, told } = directory();
		made.useStatic(["127.0.0.1:9001"]);
		made.add({ host: "127.0.0.1", port: 9001, name: "arm" }, "discovered");
		made.add({ host: "127.0.0.1", port: 9001, name: "arm" }, "discovered");
		expect(told.length).toBe(2);
		expect(made.places[0]).toMatchObject({ id: 1, name: "arm", origins: ["static", "discovered"] });
		made.useStatic([]);
		expect(made.places[0]).toMatchObject({ origins: ["discovered"] });
		made.remove("127.0.0.1:9001", "static");
		expect(made.places.length).toBe(1);
		made.remove("127.0.0.1:9001", "discovered");
		expect(made.places).toEqual([]);
	});

	it("gives an address that comes back its former id, and refuses more than the maximum", () => {
		const { made, told, owners } = directory({ backendsMax: 2 });
		made.useStatic(hosts(2));
		made.add({ host: "10.0.0.3", port: 9001 }, "discovered");
		expect([made.refused, told.length, owners()]).toEqual([1, 1, ["1 0", "2 1"]]);
		made.useStatic(hosts(3).slice(1));
		expect(owners()).toEqual(["2 1", "3 0"]);
		made.useStatic(hosts(2));
		expect(owners()).toEqual(["2 1", "1 0"]);
	});
});
