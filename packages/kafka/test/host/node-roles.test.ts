import type { ClusterNodes, NodeState } from "@shardcast/control";
import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { NodeRoles, rolesOf } from "../../src/host/assignment/node-roles.ts";
import type { PartitionRoles } from "../../src/source.ts";

const partitions = (count: number, first = 0) =>
	Array.from({ length: count }, (_, index) => ({ row: first + index, topic: "t", topicId: "id", partition: index }));

describe("which node reads a partition", () => {
	const ids = ["n1", "n2", "n3", "n4"];
	/** By partition, whatever its row. */
	const readers = (count: number, members: readonly string[]) => {
		const reader = new Map<number, string>();
		for (const self of members) {
			// Each node has its own rows, and lists nodes and partitions in its own order.
			const first = ids.indexOf(self) * 100;
			const roles = rolesOf(partitions(count, first).toReversed(), self, members.toReversed());
			expect(roles.read.length + roles.follow.length).toBe(count);
			for (const row of roles.read) {
				expect(reader.has(row - first), "two readers").toBe(false);
				reader.set(row - first, self);
			}
		}
		expect(reader.size).toBe(count);
		return reader;
	};

	it("is the same for all nodes, one for each partition, evenly", () => {
		for (const count of [1, 4, 7, 40])
			for (const members of [2, 3, 4].map((size) => ids.slice(0, size))) {
				const shares = members.map((id) => [...readers(count, members).values()].filter((reader) => reader === id).length);
				expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
			}
	});

	it("changes little when a node goes", () => {
		const before = readers(40, ids);
		const after = readers(40, ["n1", "n2", "n4"]);
		const moved = [...before].filter(([partition, id]) => id !== "n3" && after.get(partition) !== id);
		expect(moved.length).toBeLessThanOrEqual(15);
	});

	it("is each node itself when it is alone, not among the members it knows only of others, and for topics without an id", () => {
		expect(rolesOf(partitions(3), "n1", ["n1"])).toEqual({ read: [], follow: [] });
		expect(rolesOf(partitions(3), "n1", [])).toEqual({ read: [], follow: [] });
		expect(rolesOf([{ row: 1, topic: "t", topicId: null, partition: 0 }], "n1", ["n1", "n2"])).toEqual({ read: [], follow: [] });
		// It stops: the others read.
		expect(rolesOf(partitions(2), "n1", ["n2"])).toEqual({ read: [], follow: [0, 1] });
	});
});

describe("NodeRoles", () => {
	const nodesOf = (state: NodeState, ...others: readonly (readonly [id: string, status: string])[]) =>
		({ id: "n1", state, nodes: [["n1", "serving"], ...others].map(([id, status]) => ({ id, status })) }) as unknown as ClusterNodes;

	it("tells the worker once what has changed, and a new worker everything; a node that is cut off reads all itself", async () => {
		let nodes: ClusterNodes | null | Error = null;
		const sent: PartitionRoles[] = [];
		const roles = new NodeRoles({
			nodes: async () => {
				if (nodes instanceof Error) throw nodes;
				return nodes;
			},
			known: () => partitions(2),
			send: (each) => sent.push(each),
		});
		let atMs = 0;
		const look = async (now: typeof nodes, count: number) => {
			nodes = now;
			atMs += 1001;
			roles.look(atMs);
			await new Promise((resolve) => setImmediate(resolve));
			await waitFor(() => sent.length === count, { deadlineMs: 1000, what: `${count} divisions` });
		};
		await look(null, 1);
		expect(sent.at(-1)).toEqual({ read: [], follow: [] });
		const both = nodesOf("member", ["n2", "serving"]);
		await look(both, 2);
		expect(sent.at(-1)).toMatchObject({ read: [expect.any(Number)], follow: [expect.any(Number)] });
		await look(both, 2);
		await look(new Error("no answer"), 2);
		roles.forgetWorker();
		await look(both, 3);
		await look(nodesOf("cutOff", ["n2", "serving"]), 4);
		expect(sent.at(-1)).toEqual({ read: [], follow: [] });
		await look(nodesOf("member", ["n2", "draining"]), 5);
		expect(sent.at(-1)).toEqual({ read: [], follow: [] });
	});
});
