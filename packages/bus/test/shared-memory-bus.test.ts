import fs, { existsSync, readdirSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { ShardState } from "@shardcast/scoreboard";
import { descriptorsOf, descriptorsOpenedSince } from "@shardcast/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { Doorbells } from "../src/doorbells.ts";
import { createMemberFiles, isReadByAll, openMemberFiles, releaseMember } from "../src/member-files.ts";
import { SharedMemoryBus } from "../src/shared-memory-bus.ts";
import { contractCapacityBytes, describeBusContract, publish, takeAll } from "./bus-contract.ts";
import { makeCluster, mappedUnder, removeMember, type TestCluster } from "./cluster.ts";

describeBusContract("SharedMemoryBus", () => ({ members: 4, ...makeCluster(4, contractCapacityBytes) }));

function cluster(members: number): TestCluster {
	const made = makeCluster(members, contractCapacityBytes);
	onTestFinished(() => made.close());
	return made;
}

const options = { capacityBytes: contractCapacityBytes };

describe("members come", () => {
	it("those who run get the new member's records from its first one on, at their next read", () => {
		const { directory, board, join } = cluster(1);
		const running = join(0);
		createMemberFiles(directory, board, 3, options);
		const joined = join(3);
		publish(joined, "first");
		publish(joined, "second");
		expect(takeAll(running)).toEqual(["3: first", "3: second"]);
		publish(running, "welcome");
		expect(takeAll(joined)).toEqual(["3: first", "3: second", "0: welcome"].sort());
	});

	it("the new member waits for those who run, even before they have seen it", () => {
		const { directory, board, join } = cluster(1);
		const running = join(0);
		createMemberFiles(directory, board, 1, options);
		const joined = join(1);
		let published = 0;
		while (publish(joined, `${published}`)) published++;
		takeAll(joined);
		expect(publish(joined, "refused")).toBe(false);
		expect(takeAll(running)).toHaveLength(published);
		expect(publish(joined, "taken")).toBe(true);
	});

	it("the new member does not wait for one that is down or was never started", () => {
		const { directory, board, join } = cluster(2);
		join(0).close();
		releaseMember(directory, board, 0);
		createMemberFiles(directory, board, 2, options);
		const joined = join(2);
		for (let i = 0; i < 1000; i++) {
			expect(publish(joined, "to nobody but myself")).toBe(true);
			takeAll(joined);
		}
	});

	it("a member that comes wakes those who sleep, so that they take up its ring", async () => {
		const { directory, board, join } = cluster(1);
		const sleeper = join(0);
		const woken = new Promise<void>((resolve) => sleeper.onWake(resolve));
		expect(sleeper.sleep()).toBe(true);
		createMemberFiles(directory, board, 1, options);
		await woken;
	});

	it("a sleeper notices a member that came between its read and its sleep", () => {
		const { directory, board, join } = cluster(1);
		const running = join(0);
		takeAll(running);
		createMemberFiles(directory, board, 1, options);
		publish(join(1), "unseen");
		expect(running.sleep()).toBe(false);
		expect(takeAll(running)).toEqual(["1: unseen"]);
	});

	it("a slot that is no member cannot be joined, nor one outside the scoreboard", () => {
		const { directory, board } = cluster(1);
		expect(() => SharedMemoryBus.join(directory, board, 1)).toThrow(/slot 1 is not a member: .*createMemberFiles/);
		expect(() => SharedMemoryBus.join(directory, board, 8)).toThrow("slots 0 to 7");
	});
});

describe("members go", () => {
	it("a removed member's ring is read to its end, then dropped and unmapped", () => {
		const { base, directory, board, join } = cluster(2);
		const [staying, leaving] = [join(0), join(1)];
		takeAll(staying);
		for (let i = 0; i < 10; i++) publish(leaving, `${i}`);
		leaving.close();
		removeMember(directory, board, 1);
		expect(readdirSync(directory.path).filter((name) => name.includes("-1"))).toEqual([]);
		expect(staying.read(4, () => {})).toBe(4);
		expect(takeAll(staying)).toHaveLength(6);
		const maps = mappedUnder(base);
		expect(maps.filter((line) => line.includes("ring-1"))).toEqual([]);
		for (let i = 0; i < 1000; i++) {
			expect(publish(staying, "alone")).toBe(true);
			takeAll(staying);
		}
	});

	it("a slot that is added again has a new ring; what was left in the old one is not lost", () => {
		const { directory, board, join } = cluster(2);
		const [staying, leaving] = [join(0), join(1)];
		publish(leaving, "old");
		leaving.close();
		removeMember(directory, board, 1);
		createMemberFiles(directory, board, 1, options);
		const successor = join(1);
		publish(successor, "new");
		expect(takeAll(staying).sort()).toEqual(["1: new", "1: old"]);
		expect(takeAll(successor)).toEqual(["1: new"]);
	});

	it("may go, and others come, while a batch is being visited", () => {
		const { directory, board, join } = cluster(3);
		const [staying, first, second] = [join(0), join(1), join(2)];
		for (const link of [first, second]) for (let i = 0; i < 3; i++) publish(link, `${i}`);
		second.close();
		let visits = 0;
		const visit = () => {
			if (visits++ > 0) return;
			first.close();
			for (const slot of [1, 2]) removeMember(directory, board, slot);
			createMemberFiles(directory, board, 2, options);
			publish(join(2), "new");
			staying.ringWaiters();
		};
		while (staying.read(10, visit) > 0);
		expect(visits).toBe(7);
		expect(staying.backlogBytes()).toBe(0);
	});

	it("cannot go before every running member has taken up its ring, so nothing is lost that was added and removed in between", () => {
		const { directory, board, join } = cluster(1);
		const staying = join(0);
		createMemberFiles(directory, board, 1, options);
		const brief = join(1);
		publish(brief, "last words");
		brief.close();
		releaseMember(directory, board, 1);
		expect(removeMember(directory, board, 1)).toBe(false);
		expect(board.slots()).toEqual([0, 1]);
		staying.refreshMembers();
		expect(removeMember(directory, board, 1)).toBe(true);
		expect(board.slots()).toEqual([0]);
		expect(takeAll(staying)).toEqual(["1: last words"]);
	});

	it("does not wait for members that do not run", () => {
		const { directory, board, join } = cluster(2);
		join(0);
		releaseMember(directory, board, 0);
		createMemberFiles(directory, board, 2, options);
		expect(removeMember(directory, board, 2)).toBe(true);
	});

	it("does not matter to remove what is not there", () => {
		const { directory, board } = cluster(1);
		const epoch = board.membershipEpoch;
		expect(removeMember(directory, board, 5)).toBe(true);
		expect(board.membershipEpoch).toBe(epoch);
	});
});

describe("a slot", () => {
	it("is joined by the process that the supervisor has given it to, and by no other", () => {
		const { board, join } = cluster(1);
		board.row(0).pid = 4711;
		expect(() => join(0)).toThrow("slot 0 belongs to process 4711: the supervisor assigns a slot again");
		expect(board.row(0).state, "nothing has changed").toBe(ShardState.empty);
		board.row(0).pid = process.pid;
		join(0);
		expect(board.row(0).state).toBe(ShardState.starting);
	});
});

describe("releaseMember", () => {
	it("takes nothing from a process that has not been reaped: it may only be stopped", () => {
		const { directory, board, join } = cluster(2);
		join(1);
		board.row(1).pid = 4711;
		expect(() => releaseMember(directory, board, 1)).toThrow("process 4711 of slot 1 has not been reaped");
		expect(() => removeMember(directory, board, 1)).toThrow("has not been reaped");
		expect(() => createMemberFiles(directory, board, 1, options)).toThrow("slot 1 is a member already");
		expect(board.row(1).state, "nothing has changed").toBe(ShardState.starting);
		board.row(1).pid = 0;
		board.row(0).state = ShardState.dead;
		expect(removeMember(directory, board, 1)).toBe(true);
		board.row(1).pid = 4712;
		expect(() => createMemberFiles(directory, board, 1, options)).toThrow("process 4712 of slot 1 has not been reaped");
	});

	it("frees the dead member's slot in every ring, so that nobody waits for it", () => {
		const { directory, board, join } = cluster(3);
		const [first, second] = [join(0), join(1)];
		// Joined, and dead without a word.
		join(2);
		for (const link of [first, second]) while (publish(link, "filling"));
		for (const link of [first, second]) takeAll(link);
		expect(publish(first, "refused")).toBe(false);
		releaseMember(directory, board, 2);
		expect(publish(first, "taken")).toBe(true);
		expect(publish(second, "taken")).toBe(true);
	});

	it("clears the dead member's words and keeps its counters", () => {
		const { directory, board, join } = cluster(2);
		join(1).sleep();
		const row = board.row(1);
		row.connections = 12;
		row.webSockets = 11;
		row.proxiedSeen = 3;
		row.handoffsSent = 20;
		row.handoffsReceived = 17;
		row.add("messagesIn", 5);
		releaseMember(directory, board, 1);
		expect(row.snapshot()).toMatchObject({
			state: ShardState.dead,
			connections: 0,
			webSockets: 0,
			proxiedSeen: 0,
			sleeping: false,
			handoffsSent: 20,
			// What was under way waits for its successor, or is taken back.
			handoffsReceived: 17,
			counters: { messagesIn: 5 },
		});
	});

	it("counts the clients of the dead member as closed, and those that had closed before only once", () => {
		const { directory, board, join } = cluster(2);
		join(1);
		const row = board.row(1);
		row.add("opened", 800);
		row.add("closed", 100);
		row.add("closedNormal", 100);
		row.webSockets = 700;
		releaseMember(directory, board, 1);
		expect(row.snapshot().counters).toMatchObject({ opened: 800, closed: 800, closedNormal: 100, closedCrash: 700 });
		// The next life of the slot begins with nobody.
		row.add("opened", 3);
		releaseMember(directory, board, 1);
		expect(row.snapshot().counters).toMatchObject({ opened: 803, closed: 803, closedCrash: 703 });
	});

	it("wakes those who sleep: the dead one may have published and died before it rang", async () => {
		const { directory, board, join } = cluster(2);
		const [sleeper, dying] = [join(0), join(1)];
		const woken = new Promise<void>((resolve) => sleeper.onWake(resolve));
		expect(sleeper.sleep()).toBe(true);
		publish(dying, "last words");
		releaseMember(directory, board, 1);
		await woken;
		expect(takeAll(sleeper)).toEqual(["1: last words"]);
	});
});

describe("sleep", () => {
	it("a waker that comes late wipes no later sleep", () => {
		const { board, join } = cluster(1);
		const link = join(0);
		const row = board.row(0);
		link.sleep();
		const first = row.sleeping;
		link.sleep();
		const second = row.sleeping;
		expect(second).not.toBe(first);
		row.clearSleeping(first);
		expect(row.sleeping).toBe(second);
		row.clearSleeping(second);
		expect(row.sleeping).toBe(0);
	});

	it("does not sleep over a connection that was handed over, and not twice because of the same one", () => {
		const { directory, board, join } = cluster(1);
		const link = join(0);
		const doorbells = new Doorbells(directory, board);
		onTestFinished(() => doorbells.close());
		doorbells.announceHandoff(0);
		expect(link.sleep()).toBe(false);
		expect(board.row(0).sleeping).toBe(0);
		expect(link.sleep()).toBe(true);
	});

	it("a handed-over connection wakes a sleeper", async () => {
		const { directory, board, join } = cluster(1);
		const link = join(0);
		const woken = new Promise<void>((resolve) => link.onWake(resolve));
		const doorbells = new Doorbells(directory, board);
		onTestFinished(() => doorbells.close());
		expect(link.sleep()).toBe(true);
		doorbells.announceHandoff(0);
		await woken;
	});

	it("ringing for a member that was removed does nothing", () => {
		const { directory, board } = cluster(2);
		const doorbells = new Doorbells(directory, board);
		onTestFinished(() => doorbells.close());
		removeMember(directory, board, 1);
		board.row(1).sleeping = 7;
		expect(doorbells.wake(1)).toBe(false);
	});
});

/** Runs it in a process that may open no more files. */
function withoutDescriptors<T>(run: () => T): T {
	const { openSync } = fs;
	fs.openSync = () => {
		throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE", errno: -24, syscall: "open" });
	};
	syncBuiltinESMExports();
	try {
		return run();
	} finally {
		fs.openSync = openSync;
		syncBuiltinESMExports();
	}
}

describe("out of descriptors", () => {
	it("members wake each other all the same: their bells have been opened in advance", async () => {
		const { join } = cluster(2);
		const [sleeper, publisher] = [join(0), join(1)];
		const woken = new Promise<void>((resolve) => sleeper.onWake(resolve));
		expect(sleeper.sleep()).toBe(true);
		withoutDescriptors(() => {
			publish(publisher, "x");
			publisher.ringWaiters();
		});
		await woken;
	});

	it("one whose bell cannot be rung still sleeps, knows that it has overslept, and is rung by the next waker", async () => {
		const { directory, board, join } = cluster(2);
		const [sleeper, publisher] = [join(0), join(1)];
		const doorbells = new Doorbells(directory, board);
		onTestFinished(() => doorbells.close());
		const woken = new Promise<void>((resolve) => sleeper.onWake(resolve));
		expect(sleeper.sleep()).toBe(true);
		expect(sleeper.overslept()).toBe(false);
		publish(publisher, "x");
		expect(withoutDescriptors(() => doorbells.wake(0))).toBe(false);
		expect(sleeper.overslept()).toBe(true);
		takeAll(sleeper);
		expect(sleeper.overslept()).toBe(false);
		withoutDescriptors(() => doorbells.announceHandoff(0));
		expect(sleeper.overslept(), "connections lie in its socket").toBe(true);
		expect(doorbells.wake(0)).toBe(true);
		await woken;
		expect(sleeper.overslept(), "it is awake").toBe(false);
	});

	it("a new member's ring is taken up at the next look that can, and nothing of it is missed", () => {
		const { directory, board, join } = cluster(1);
		const link = join(0);
		createMemberFiles(directory, board, 1, options);
		withoutDescriptors(() => link.refreshMembers());
		expect(removeMember(directory, board, 1), "it has not been taken up").toBe(false);
		publish(join(1), "first");
		expect(takeAll(link)).toEqual(["1: first"]);
	});

	it("a dead member's ring counts as read once every running member has opened it and has read to its end", () => {
		const { directory, board, join } = cluster(1);
		const running = join(0);
		createMemberFiles(directory, board, 1, options);
		const open = openMemberFiles(directory, board);
		onTestFinished(() => open.close());
		const leaving = join(1);
		publish(leaving, "last");
		leaving.close();
		releaseMember(directory, board, 1, open);
		expect(isReadByAll(board, open, 1), "not opened").toBe(false);
		running.refreshMembers();
		expect(isReadByAll(board, open, 1), "not read").toBe(false);
		takeAll(running);
		expect(isReadByAll(board, open, 1)).toBe(true);
	});

	it("a supervisor that has its files open clears up after a member, and one that has not says what is missing", async () => {
		const { directory, board, join } = cluster(3);
		const [first, sleeper] = [join(0), join(1)];
		join(2);
		const open = openMemberFiles(directory, board);
		onTestFinished(() => open.close());
		while (publish(first, "filling"));
		for (const link of [first, sleeper]) takeAll(link);
		const woken = new Promise<void>((resolve) => sleeper.onWake(resolve));
		expect(sleeper.sleep()).toBe(true);
		expect(() => withoutDescriptors(() => releaseMember(directory, board, 2))).toThrow(/EMFILE.*ulimit -n/);
		withoutDescriptors(() => releaseMember(directory, board, 2, open));
		expect(publish(first, "taken")).toBe(true);
		await woken;
	});
});

describe("resources", () => {
	it("joining and leaving leaks neither memory mappings nor descriptors", () => {
		const { base, join } = cluster(3);
		const before = descriptorsOf(process.pid);
		const mapsBefore = mappedUnder(base).length;
		for (let round = 0; round < 50; round++) {
			const links = [join(0), join(1), join(2)];
			for (const link of links) link.sleep();
			publish(links[0], "x");
			links[0].ringWaiters();
			for (const link of links) link.close();
		}
		expect(mappedUnder(base)).toHaveLength(mapsBefore);
		return expect.poll(() => descriptorsOpenedSince(before)).toEqual([]);
	});

	it("removing the directory leaves nothing in shared memory", () => {
		const { directory, join } = cluster(2);
		join(0);
		directory.remove();
		expect(existsSync(directory.path)).toBe(false);
	});
});
