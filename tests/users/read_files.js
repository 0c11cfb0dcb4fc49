// Reads encrypted files with sops-age, and JSON with sops-decoder, which checks the MAC, too.
// Arguments: the file of the identity, and the files. Prints the data of each as JSON.
const fs = require("fs");
const { decodeFile } = require("sops-decoder");
const { decryptSops } = require("sops-age");

async function main([identity, ...files]) {
  const secretKey = fs.readFileSync(identity, "utf8").match(/AGE-SECRET-KEY-\S+/)[0];
  for (const path of files) {
    console.log(JSON.stringify(await decryptSops({ path, secretKey })));
    if (path.endsWith(".json")) {
      // sops-decoder has AWS KMS alone: the stand-in for it takes what age has wrapped.
      const file = JSON.parse(fs.readFileSync(path, "utf8"));
      const enc = Buffer.from(file.sops.age[0].enc).toString("base64");
      file.sops.kms = [{ arn: "arn:aws:kms:eu-central-1:123456789012:key/x", enc, created_at: "" }];
      fs.writeFileSync("kms.json", JSON.stringify(file));
      console.log(JSON.stringify(await decodeFile("kms.json")));
    }
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
