import { expect, it } from "vitest";
import { shards } from "../../console/format.js";

it("the number of shards is beside the one that is wanted, if that is another", () => {
	const scaling = (wanted: number, followsCpus = false) => ({ wanted, followsCpus });
	expect(shards(1, scaling(1))).toBe("1 shard");
	expect(shards(2, scaling(2))).toBe("2 shards");
	expect(shards(2, scaling(4, true))).toBe("2 of 4 wanted shards, following the CPUs");
	expect(shards(3, scaling(1))).toBe("3 of 1 wanted shards");
	expect([shards(2, null), shards(2, undefined)], "a process alone, or an older version").toEqual(["2 shards", "2 shards"]);
});
