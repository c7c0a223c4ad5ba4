import { spawnSync } from "node:child_process";

/** "nobody" on Debian; any user but root would do. */
const nobody = 65_534;

/**
 * Runs a shell script as another user of this machine, for tests of attacks by other users. Only root can do that: a suite that needs it uses
 * `it.skipIf(!canRunAsOtherUser())`.
 * @throws when the script fails.
 */
export function runAsOtherUser(script: string): { readonly uid: number } {
	const { status, stderr } = spawnSync("/bin/sh", ["-ec", script], {
		uid: nobody,
		gid: nobody,
		env: { PATH: "/usr/bin:/bin" },
		encoding: "utf8",
	});
	if (status !== 0) throw new Error(`as user ${nobody}: ${stderr}`);
	return { uid: nobody };
}

/** Whether this process is root. If not, prints that these tests are skipped. */
export function canRunAsOtherUser(): boolean {
	const can = process.getuid?.() === 0;
	if (!can) process.stderr.write("\n!!! TESTS AGAINST ANOTHER USER SKIPPED: they start a process as that user, which needs root !!!\n\n");
	return can;
}
