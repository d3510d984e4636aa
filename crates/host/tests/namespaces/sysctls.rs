//! Kernel parameters.

use std::io;

use host::sysctl;

use crate::two_namespaces;

#[test]
fn a_parameter_is_that_of_the_threads_own_namespace() {
    let Some([(here, _), (there, _)]) = two_namespaces() else {
        return;
    };
    const NAME: &str = "net.ipv4.conf.all.src_valid_mark";
    here.run(|| {
        assert_eq!(sysctl::read(NAME).unwrap(), "0");
        assert_eq!(sysctl::write(NAME, "1").unwrap(), "0");
        assert_eq!(sysctl::write(NAME, "1").unwrap(), "1");
        assert_eq!(sysctl::read("net/ipv4/conf/all/src_valid_mark").unwrap(), "1");
    })
    .unwrap();
    there.run(|| assert_eq!(sysctl::read(NAME).unwrap(), "0")).unwrap();
}

#[test]
fn what_cannot_be_set_is_an_error_that_names_it() {
    let Some([(here, _), _]) = two_namespaces() else {
        return;
    };
    here.run(|| {
        let error = sysctl::write("net.ipv4.conf.all.src_valid_mark", "many").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot set the kernel parameter net.ipv4.conf.all.src_valid_mark to many: Invalid argument (os error 22)"
        );
        let error = sysctl::read("net.ipv4.nothing").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let error = sysctl::write("net/ipv4/../../vm/swappiness", "1").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    })
    .unwrap();
}
