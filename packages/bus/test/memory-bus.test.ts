import { describe, expect, it } from "vitest";
import type { BusLink } from "../src/bus-link.ts";
import { MemoryBus } from "../src/memory-bus.ts";
import { contractCapacityBytes, describeBusContract } from "./bus-contract.ts";

describeBusContract("MemoryBus", () => {
	const members = 4;
	const bus = new MemoryBus({ members, capacityBytes: contractCapacityBytes });
	const links: BusLink[] = [];
	return {
		members,
		join: (slot) => {
			links.push(bus.link(slot));
			return links.at(-1)!;
		},
		close: () => {
			for (const link of links) link.close();
		},
	};
});

describe("MemoryBus", () => {
	it("has one link per slot, and no more slots than it was made with", () => {
		const bus = new MemoryBus({ members: 2, capacityBytes: 4096 });
		bus.link(1);
		expect(() => bus.link(1)).toThrow("slot 1 is taken");
		expect(() => bus.link(2)).toThrow("this bus has slots 0 to 1");
	});
});
