//! Encrypts and decrypts TOML from standard input with rops: `rops-toml encrypt RECIPIENT...`,
//! `rops-toml decrypt` with the identity in `ROPS_AGE`.

use std::error::Error;
use std::io::Read as _;

use rops::cryptography::cipher::AES256GCM;
use rops::cryptography::hasher::SHA512;
use rops::file::RopsFile;
use rops::file::builder::RopsFileBuilder;
use rops::file::format::TomlFileFormat;
use rops::file::state::EncryptedFile;
use rops::integration::{AgeIntegration, Integration};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    match command.as_deref() {
        Some("encrypt") => {
            let mut builder = RopsFileBuilder::<TomlFileFormat>::new(&text)?;
            for recipient in arguments {
                let recipient = AgeIntegration::parse_key_id(&recipient)?;
                builder = builder.add_integration_key::<AgeIntegration>(recipient);
            }
            print!("{}", builder.encrypt::<AES256GCM, SHA512>()?);
        }
        Some("decrypt") => {
            let file: RopsFile<EncryptedFile<AES256GCM, SHA512>, TomlFileFormat> = text.parse()?;
            print!("{}", file.decrypt::<TomlFileFormat>()?.map());
        }
        _ => return Err("`encrypt RECIPIENT...` or `decrypt`".into()),
    }
    Ok(())
}
