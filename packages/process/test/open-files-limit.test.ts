import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openFilesLimit } from "../src/open-files-limit.ts";

function limitOf(line: string): ReturnType<typeof openFilesLimit> {
	const folder = mkdtempSync(join(tmpdir(), "limits-"));
	try {
		const path = join(folder, "limits");
		writeFileSync(path, `Limit   Soft Limit   Hard Limit   Units\nMax processes   7   8   processes\n${line}\n`);
		return openFilesLimit(path);
	} finally {
		rmSync(folder, { recursive: true });
	}
}

describe("limit of open files", () => {
	it("is read as the kernel writes it", () => {
		expect(limitOf("Max open files            1024                 4096                 files     ")).toEqual({ soft: 1024, hard: 4096 });
		expect(limitOf("Max open files   1024   unlimited   files")).toEqual({ soft: 1024, hard: Number.POSITIVE_INFINITY });
	});

	it("is unknown where there is none to read", () => {
		expect(limitOf("Max file size   1   2   bytes")).toBeNull();
		expect(openFilesLimit("/proc/self/no-such-file")).toBeNull();
	});

	it("of this process is one number, since Node raises the soft one", () => {
		const { soft, hard } = openFilesLimit()!;
		expect(soft).toBe(hard);
		expect(soft).toBeGreaterThan(100);
	});
});
