import { execFileSync } from "node:child_process";
import { chmodSync, closeSync, constants, openSync, statSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { descriptorsOf, descriptorsOpenedSince } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { Doorbell } from "../src/doorbell.ts";
import { NativeError } from "../src/native-error.ts";
import { useTemporaryDirectory } from "./temporary.ts";

/** Writes to the FIFO until it takes not one byte more. */
function fill(path: string): void {
	const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
	try {
		for (const bytes of [4096, 1])
			expect(() => {
				for (let write = 0; write < 100_000; write++) writeSync(fd, new Uint8Array(bytes));
			}).toThrow(/EAGAIN/);
	} finally {
		closeSync(fd);
	}
}

describe("Doorbell", () => {
	const directory = useTemporaryDirectory();
	const open: { close(): void }[] = [];

	function made<T extends { close(): void }>(it: T): T {
		open.push(it);
		return it;
	}

	afterEach(() => {
		for (const it of open.splice(0)) it.close();
	});

	it("is a FIFO that only its owner may use, and may be made twice", () => {
		Doorbell.create(directory.file("bell"));
		Doorbell.create(directory.file("bell"));
		const status = statSync(directory.file("bell"));
		expect(status.isFIFO()).toBe(true);
		expect(status.mode & 0o777).toBe(0o600);
	});

	it("is no link, no regular file and not open to others", () => {
		const before = descriptorsOf(process.pid);
		Doorbell.create(directory.file("bell"));
		symlinkSync(directory.file("bell"), directory.file("link"));
		expect(() => Doorbell.ringer(directory.file("link"))).toThrow(/ELOOP/);
		writeFileSync(directory.file("file"), "", { mode: 0o600 });
		expect(() => Doorbell.ringer(directory.file("file"))).toThrow(/is not a pipe/);
		chmodSync(directory.file("bell"), 0o602);
		expect(() => Doorbell.ringer(directory.file("bell"))).toThrow(/is open to other users/);
		expect(descriptorsOpenedSince(before)).toEqual([]);
	});

	it("wakes its listener at every ring, again and again", { tags: ["long"] }, async () => {
		const bell = made(Doorbell.create(directory.file("bell")));
		let heard = 0;
		bell.listen(() => heard++);
		const ringer = made(Doorbell.ringer(bell.path));
		for (let round = 1; round <= 100; round++) {
			ringer.ring();
			await expect.poll(() => heard, { interval: 1 }).toBe(round);
		}
	});

	it("hears what was rung before it listened", async () => {
		const bell = made(Doorbell.create(directory.file("bell")));
		// A FIFO keeps its bytes only while somebody has it open: the ringer does.
		made(Doorbell.ringer(bell.path)).ring();
		await new Promise<void>((resolve) => bell.listen(resolve));
	});

	it("may be rung any number of times while nobody listens: a full FIFO has been rung", async () => {
		const bell = made(Doorbell.create(directory.file("bell")));
		const ringer = made(Doorbell.ringer(bell.path));
		for (let ring = 0; ring < 1000; ring++) ringer.ring();
		fill(bell.path);
		for (let ring = 0; ring < 1000; ring++) ringer.ring();
		let heard = 0;
		bell.listen(() => heard++);
		await expect.poll(() => heard).toBeGreaterThan(0);
	});

	it("survives its listener: the next one goes on with the same file and the same ringers", async () => {
		Doorbell.create(directory.file("bell"));
		const ringer = made(Doorbell.ringer(directory.file("bell")));
		for (let incarnation = 0; incarnation < 3; incarnation++) {
			const bell = made(Doorbell.open(directory.file("bell")));
			const heard = new Promise<void>((resolve) => bell.listen(resolve));
			ringer.ring();
			await heard;
			bell.close();
		}
	});

	it("survives a ringer that dies, and is rung by several", async () => {
		const bell = made(Doorbell.create(directory.file("bell")));
		let heard = 0;
		bell.listen(() => heard++);
		execFileSync("sh", ["-c", `printf x > ${bell.path}`]);
		await expect.poll(() => heard).toBe(1);
		const ringers = [made(Doorbell.ringer(bell.path)), made(Doorbell.ringer(bell.path))];
		ringers[0].close();
		ringers[1].ring();
		await expect.poll(() => heard).toBe(2);
	});

	it("ringer of a bell that is not there says so", () => {
		expect(() => Doorbell.ringer(directory.file("none"))).toThrow(NativeError);
	});

	it("is listened to once at a time", () => {
		const bell = made(Doorbell.create(directory.file("bell")));
		bell.listen(() => {});
		expect(() => bell.listen(() => {})).toThrow("already has a listener");
	});

	it("leaves no descriptor open", async () => {
		Doorbell.create(directory.file("bell"));
		const before = descriptorsOf(process.pid);
		for (let round = 0; round < 20; round++) {
			const bell = Doorbell.open(directory.file("bell"));
			const ringer = Doorbell.ringer(bell.path);
			const heard = new Promise<void>((resolve) => bell.listen(resolve));
			ringer.ring();
			await heard;
			bell.close();
			ringer.close();
			ringer.close();
		}
		await expect.poll(() => descriptorsOpenedSince(before)).toEqual([]);
	});
});
