import { describe, expect, it, vi } from "vitest";
import { NativeError } from "../src/native-error.ts";

/** Loads the package again, since the answer is found out once. See vitest.config.ts. */
async function loadedAgain(name: string): Promise<typeof import("../src/index.ts")> {
	const path: string = `../src/index.ts?again=${name}`;
	return await import(path);
}

describe("nativeSupport", () => {
	it("is there on this machine", { tags: ["long"] }, async () => {
		const { nativeSupport } = await loadedAgain("here");
		expect(nativeSupport()).toEqual({ available: true });
	});

	it.each([
		["darwin", "arm64", "needs Linux, this is darwin"],
		["win32", "x64", "needs Linux, this is win32"],
		["linux", "riscv64", "needs x64 or arm64, this is riscv64"],
	])(
		"on %s %s the package loads, says why not, and every call fails with that reason",
		{ tags: ["long"] },
		async (platform, arch, reason) => {
			vi.spyOn(process, "platform", "get").mockReturnValue(platform as NodeJS.Platform);
			vi.spyOn(process, "arch", "get").mockReturnValue(arch as NodeJS.Architecture);
			const { DescriptorChannel, nativeSupport, SharedFile } = await loadedAgain(platform + arch);
			expect(nativeSupport()).toEqual({ available: false, reason });
			for (const call of [() => SharedFile.create("/tmp/x", 4096), () => DescriptorChannel.bind("/tmp/x.sock")])
				expect(call).toThrow(reason);
		},
	);
});

describe("NativeError", () => {
	it("names the call, the subject, the code and the fix", () => {
		const error = NativeError.fromErrno(28, "posix_fallocate", "reserving 4096 bytes for /dev/shm/x");
		expect(error.code).toBe("ENOSPC");
		expect(error.syscall).toBe("posix_fallocate");
		expect(error.message).toMatch(
			/^posix_fallocate: reserving 4096 bytes for \/dev\/shm\/x: no space left on device \(ENOSPC\): free space/,
		);
	});

	it("does not invent a name for a number it does not know", () => {
		expect(NativeError.fromErrno(3333, "recv").message).toBe("recv: unknown error (errno 3333)");
	});
});
