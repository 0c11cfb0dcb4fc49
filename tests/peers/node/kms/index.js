// Stands in for AWS KMS, the only kind of key that sops-decoder has: its "ciphertext" is a data key
// that age encrypted, and the identity in SOPS_AGE_KEY_FILE opens it.
const { execFileSync } = require("child_process");

class DecryptCommand {
  constructor(input) {
    this.input = input;
  }
}

class KMSClient {
  async send(command) {
    const identity = process.env.SOPS_AGE_KEY_FILE;
    const input = Buffer.from(command.input.CiphertextBlob);
    const key = execFileSync("age", ["--decrypt", "--identity", identity], { input });
    return { Plaintext: new Uint8Array(key) };
  }
}

module.exports = { DecryptCommand, KMSClient };
