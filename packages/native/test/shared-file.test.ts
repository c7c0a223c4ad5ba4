import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, statfsSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { canRunAsOtherUser, descriptorsOf, descriptorsOpenedSince, runAsOtherUser } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { NativeError } from "../src/native-error.ts";
import { SharedFile } from "../src/shared-file.ts";
import { useTemporaryDirectory } from "./temporary.ts";

const { blocks, bsize } = statfsSync("/dev/shm");
const sharedMemoryBytes = blocks * bsize;

describe("SharedFile", () => {
	const directory = useTemporaryDirectory();

	it("is seen by whoever opens it, through Atomics and in the file", () => {
		const made = SharedFile.create(directory.file("shared"), 8192);
		const opened = SharedFile.open(made.path);
		expect(opened.bytes).toBe(8192);
		const writer = new Int32Array(made.buffer);
		const reader = new Int32Array(opened.buffer);
		Atomics.store(writer, 5, 42);
		expect(Atomics.load(reader, 5)).toBe(42);
		Atomics.add(reader, 5, 1);
		expect(writer[5]).toBe(43);
		expect(readFileSync(made.path).readInt32LE(20)).toBe(43);
		made.close();
		opened.close();
	});

	it("is zeroed, readable by its owner only, and all of it is reserved", () => {
		const file = SharedFile.create(directory.file("shared"), 100_000);
		const { mode, size, blocks } = statSync(file.path);
		expect(mode & 0o777).toBe(0o600);
		expect(size).toBe(100_000);
		expect(blocks * 512).toBeGreaterThanOrEqual(100_000);
		expect(new Uint8Array(file.buffer).every((byte) => byte === 0)).toBe(true);
		file.close();
	});

	it("may be reserved in part, and later more of it: what was there stays", () => {
		const file = SharedFile.create(directory.file("shared"), 2 ** 30, undefined, 8192);
		const allocated = () => statSync(file.path).blocks * 512;
		expect(statSync(file.path).size).toBe(2 ** 30);
		expect(allocated()).toBeLessThanOrEqual(65_536);
		new Uint8Array(file.buffer)[8191] = 7;
		file.reserve(1_000_000);
		expect(allocated()).toBeGreaterThanOrEqual(1_000_000);
		expect(allocated()).toBeLessThan(2_000_000);
		expect(new Uint8Array(file.buffer)[8191]).toBe(7);
		file.close();
	});

	it("gets its name when it is formatted, and none when formatting fails", () => {
		const file = SharedFile.create(directory.file("whole"), 4096, (buffer) => {
			expect(readdirSync(directory.path)).not.toContain("whole");
			new Uint8Array(buffer)[0] = 9;
		});
		expect(readFileSync(file.path)[0]).toBe(9);
		file.close();
		const fail = () => {
			throw new Error("no");
		};
		expect(() => SharedFile.create(directory.file("half"), 4096, fail)).toThrow("no");
		expect(readdirSync(directory.path)).toEqual(["whole"]);
	});

	it("takes the place of an older file without disturbing processes that have that mapped", () => {
		const older = SharedFile.create(directory.file("shared"), 4096);
		new Uint8Array(older.buffer)[0] = 1;
		const newer = SharedFile.create(directory.file("shared"), 4096);
		expect(new Uint8Array(newer.buffer)[0]).toBe(0);
		expect(new Uint8Array(older.buffer)[0]).toBe(1);
		older.close();
		newer.close();
	});

	// tmpfs compares with its size before it takes a page; one without a limit would take all memory.
	it.skipIf(sharedMemoryBytes === 0)("full /dev/shm: says how much did not fit, where and what to do, and leaves nothing behind", () => {
		const before = descriptorsOf(process.pid);
		const name = `shardcast-native-test-${process.pid}`;
		const { code, syscall, fix, message } = caught(() => SharedFile.create(`/dev/shm/${name}`, sharedMemoryBytes + 4096));
		expect([code, syscall]).toEqual(["ENOSPC", "posix_fallocate"]);
		expect(message).toContain(`reserving ${sharedMemoryBytes + 4096} bytes for /dev/shm/${name}`);
		expect(fix).toContain("--shm-size");
		expect(readdirSync("/dev/shm").filter((entry) => entry.startsWith(name))).toEqual([]);
		expect(descriptorsOpenedSince(before)).toEqual([]);
	});

	it("tells a missing file from an empty one", () => {
		expect(caught(() => SharedFile.open(directory.file("none"))).code).toBe("ENOENT");
		writeFileSync(directory.file("empty"), "", { mode: 0o600 });
		expect(caught(() => SharedFile.open(directory.file("empty"))).message).toContain("is empty");
	});

	it("does not follow a link that somebody has put where its temporary file goes", () => {
		writeFileSync(directory.file("precious"), "precious");
		symlinkSync(directory.file("precious"), directory.file(`shared.${process.pid}.new`));
		SharedFile.create(directory.file("shared"), 4096).close();
		expect(readFileSync(directory.file("precious"), "utf8")).toBe("precious");
	});

	it("opens no link, no pipe, nothing that others may write to or that belongs to them, and keeps no descriptor", () => {
		SharedFile.create(directory.file("shared"), 4096).close();
		symlinkSync(directory.file("shared"), directory.file("link"));
		execFileSync("mkfifo", ["-m", "600", directory.file("pipe")]);
		const before = descriptorsOf(process.pid);
		expect(caught(() => SharedFile.open(directory.file("link"))).message).toMatch(/ELOOP.*symbolic link/);
		expect(caught(() => SharedFile.open(directory.file("pipe"))).message).toContain("is not a regular file");
		chmodSync(directory.file("shared"), 0o620);
		expect(caught(() => SharedFile.open(directory.file("shared"))).message).toContain("is open to other users (mode 620)");
		expect(descriptorsOpenedSince(before)).toEqual([]);
	});

	it.skipIf(!canRunAsOtherUser())("opens no file of another user", () => {
		chmodSync(directory.path, 0o777);
		const { uid } = runAsOtherUser(`umask 077; head -c 4096 /dev/zero > ${directory.file("theirs")}`);
		expect(caught(() => SharedFile.open(directory.file("theirs"))).message).toContain(`theirs belongs to user ${uid}`);
	});

	it("returns memory and descriptors when it is closed, once", { tags: ["long"] }, () => {
		const before = descriptorsOf(process.pid);
		for (let round = 0; round < 100; round++) {
			const file = SharedFile.create(directory.file("shared"), 1 << 20);
			file.close();
			file.close();
		}
		expect(descriptorsOpenedSince(before)).toEqual([]);
		const mapped = readFileSync("/proc/self/maps", "utf8").split("\n");
		expect(mapped.filter((line) => line.includes(directory.path))).toEqual([]);
	});
});

function caught(action: () => unknown): NativeError {
	try {
		action();
	} catch (error) {
		expect(error).toBeInstanceOf(NativeError);
		return error as NativeError;
	}
	throw new Error("nothing was thrown");
}
